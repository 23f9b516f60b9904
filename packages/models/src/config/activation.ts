/** Activation functions by the names that Hugging Face configs use. */

import type { Activation } from "@qkv/core";

export const ACTIVATION_NAMES: Readonly<Record<string, Activation>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu",
  gelu_new: "gelu-tanh",
  gelu_pytorch_tanh: "gelu-tanh",
  quick_gelu: "quick-gelu",
  relu: "relu",
};

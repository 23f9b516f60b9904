"""SmolLM2 as ONNX for transformers.js, which reads nothing else: OUT/smollm2, from the weights of the GGUF file.

    python3 -m venv VENV    # Python 3.11; several gigabytes: torch comes with CUDA
    VENV/bin/pip install torch==2.15.0 numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1 onnx-ir==1.1.0 \\
        onnxruntime-genai==0.18.0 transformers==5.23.0 tokenizers==0.23.3 safetensors==0.8.0 gguf==0.19.0
    VENV/bin/python export.py SmolLM2-135M-Instruct-Q4_1.gguf OUT

float32 is exact. q8 and q4 round weights a second time that had 4 bits already: good for speed, not for judging quality.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing here is fetched by name
sys.dont_write_bytecode = True  # no __pycache__ beside the makers of the goldens

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/fixtures/goldens/make"))
from real import gguf_llama  # the reader that made the goldens

IDS = [504, 31700, 282, 253, 1165, 28899, 1806, 578]  # "The clerk of a small harbour works out"
FLOAT_LIMIT = 1e-3  # largest difference of a logit that float32 may have
QUANTIZED_COSINE = 0.9  # least cosine of a quantised one: less is no rounding, but a broken graph


def build(folder, precision, work, path, head_dim):
    """onnxruntime-genai's own export, with GroupQueryAttention and a cache."""
    out = work / precision
    subprocess.run([sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", folder, "-o", out, "-p", precision,
                    "-e", "cpu", "-c", work / "cache"], check=True)
    graph = onnx.load(out / "model.onnx")
    for value in [*graph.graph.input, *graph.graph.output]:
        if value.name.startswith(("past_key_values", "present")):  # transformers.js needs a number where the builder gives a name
            value.type.tensor_type.shape.dim[3].dim_value = head_dim
    onnx.save(graph, path)


def check(path, want):
    """Compares the logits of a prompt with Hugging Face's float32."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feed = {"input_ids": np.array([IDS]), "attention_mask": np.ones((1, len(IDS)), np.int64)}
    for i in session.get_inputs():
        if i.name.startswith("past_key_values"):
            feed[i.name] = np.zeros((1, i.shape[1], 0, i.shape[3]), np.float32)
    got = session.run(["logits"], feed)[0]
    difference, cosine = abs(got - want).max(), (got * want).sum() / np.sqrt((got * got).sum() * (want * want).sum())
    print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB, max abs difference {difference:.1e}, cosine {cosine:.4f}")
    if not (difference <= FLOAT_LIMIT if path.name == "model.onnx" else cosine >= QUANTIZED_COSINE):
        sys.exit(f"{path.name}: too far from float32")


def main(gguf, out):
    target = Path(out) / "smollm2"
    (target / "onnx").mkdir(parents=True)
    full, q8, q4 = (target / f"onnx/{name}.onnx" for name in ("model", "model_quantized", "model_q4"))
    llama, tokenizer = gguf_llama(gguf)
    with tempfile.TemporaryDirectory() as work:
        hf = Path(work) / "hf"
        llama.save_pretrained(hf)
        tokenizer.save_pretrained(hf)
        build(hf, "fp32", Path(work), full, llama.config.head_dim)
        build(hf, "int4", Path(work), q4, llama.config.head_dim)
        config = json.loads((hf / "config.json").read_text())
        # transformers.js reads the keys of transformers 4
        config["rope_theta"] = llama.config.rope_parameters["rope_theta"]
        (target / "config.json").write_text(json.dumps(config))
        (target / "generation_config.json").write_text((hf / "generation_config.json").read_text())
    quantizer = MatMulNBitsQuantizer(onnx.load(full), bits=8, block_size=32, is_symmetric=True, accuracy_level=4,
                                     op_types_to_quantize=("MatMul",))
    quantizer.process()
    onnx.save(quantizer.model.model, q8)
    with torch.no_grad():
        want = llama(torch.tensor([IDS])).logits.numpy()
    for path in (full, q8, q4):
        check(path, want)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])

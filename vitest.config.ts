import { defineConfig } from "vitest/config";

// The same suite runs twice: against the sources, and (QKV_TEST_DIST=1, `pnpm test:dist`) against the built packages.
// Unit tests beside a source import that source by its relative path, so only tests/ changes sides.
const dist = process.env.QKV_TEST_DIST === "1";
const conditions = dist ? ["import", "node", "default"] : ["qkv-source", "import", "node", "default"];

// Models are held against their goldens on every kind of kernel: QKV_TEST_KERNELS, see tests/support/load.ts.
const MODELS = ["tests/goldens/**/*.test.ts", "tests/invariants/**/*.test.ts"];
const onKernels = (kernels: string) => ({
  extends: true as const,
  test: { name: kernels, include: MODELS, env: { QKV_TEST_KERNELS: kernels } },
});

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: "all",
          include: dist ? ["tests/**/*.test.ts"] : ["packages/*/src/**/*.test.ts", "tests/**/*.test.ts"],
          exclude: ["**/node_modules/**", ...MODELS],
        },
      },
      onKernels("wasm, 1 thread"),
      onKernels("wasm, 2 threads"),
      onKernels("reference"),
    ],
  },
});

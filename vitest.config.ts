import { defineConfig } from "vitest/config";

// The same suite runs twice: against the sources, and (QKV_TEST_DIST=1, `pnpm test:dist`) against the built packages.
// Unit tests beside a source import that source by its relative path, so only tests/ changes sides.
const dist = process.env.QKV_TEST_DIST === "1";

export default defineConfig({
  resolve: { conditions: dist ? ["import", "node", "default"] : ["qkv-source", "import", "node", "default"] },
  ssr: { resolve: { conditions: dist ? ["import", "node", "default"] : ["qkv-source", "import", "node", "default"] } },
  test: {
    include: dist ? ["tests/**/*.test.ts"] : ["packages/*/src/**/*.test.ts", "tests/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

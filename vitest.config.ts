import { defineConfig } from 'vitest/config';

/** No test measures with these: they only end what hangs, on a machine that is busy with something else too. */
const UNIT_PATIENCE = { testTimeout: 30_000, hookTimeout: 30_000, expect: { poll: { timeout: 20_000 } } };

/** `unit`: pure Node. `gpu`: needs a WebGPU adapter under Node (Dawn). `e2e`: needs Chromium. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          ...UNIT_PATIENCE,
          include: [
            'test/*.test.ts',
            'test/{config,library,model,mesh,schedule,server,backend,worker,sim,cli,page,deploy}/**/*.test.ts',
          ],
        },
      },
      {
        test: {
          name: 'gpu',
          include: ['test/gpu/**/*.test.ts'],
          pool: 'forks',
          maxWorkers: 1,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          pool: 'forks',
          maxWorkers: 1,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});

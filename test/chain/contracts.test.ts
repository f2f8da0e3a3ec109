/**
 * The contracts: forge's own tests first, since they build what the others deploy. One file, so that two workers never build at once.
 * `npm run test:contracts` runs forge alone, `npm run fuzz:contracts` much longer.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** A cold build takes 15 s of one idle core, the tests 10 s. */
const FORGE_BUDGET_MS = 240_000;

let forge: { readonly status: number | null; readonly text: string };

beforeAll(() => {
  const binary = path.join(ROOT, 'node_modules', '.bin', 'forge');
  const { status, stdout, stderr } = spawnSync(binary, ['test', '--fuzz-seed', '1'], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: FORGE_BUDGET_MS,
  });
  forge = { status, text: `${stdout}${stderr}` };
}, FORGE_BUDGET_MS);

test('forge builds the contracts without warnings, and all of its tests pass', () => {
  expect(forge.status, forge.text.slice(-4000)).toBe(0);
  const [, passed] = /(\d+) tests passed, 0 failed, 0 skipped/.exec(forge.text) ?? [];
  expect(Number(passed)).toBeGreaterThan(200);
});

await import('./evm-vectors.ts');

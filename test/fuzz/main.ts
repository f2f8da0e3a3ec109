/** `npm run fuzz -- [--inputs N] [--seed S] [--only PART-OF-A-NAME] [--out FILE]` */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { commitOf } from '../simulation/commit.ts';
import { fuzz } from './fuzz.ts';

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    out: { type: 'string' },
  },
});

let unhandled = 0;
process.on('unhandledRejection', (reason) => {
  unhandled++;
  process.stderr.write(`an unhandled rejection: ${reason instanceof Error ? reason.stack : String(reason)}\n`);
});

const startedAt = new Date();
const result = await fuzz({
  inputs: Number(values.inputs),
  seed: values.seed,
  only: values.only,
  progress: (done, heapMib) => process.stderr.write(`${done} inputs, heap ${heapMib} MiB\n`),
});
const record = {
  date: startedAt.toISOString(),
  commit: commitOf(),
  seed: values.seed,
  wallSeconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
  ...result,
  unhandledRejections: unhandled,
};
process.stdout.write(`${JSON.stringify(record, null, 2)}\n`);
if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(record, null, 2)}\n`);
process.exitCode = result.broken.length === 0 && unhandled === 0 ? 0 : 1;

/**
 * The load generator: one cell of the gateway's benchmark in a process of its own. Reads one JSON line of `Load` from its argument;
 * prints `begin` and `end` around the measured time, then one JSON line of samples.
 */
import { type Load, runLoad } from './load.ts';

const result = await runLoad(JSON.parse(process.argv[2]!) as Load, {
  begun: () => process.stdout.write('begin\n'),
  ended: () => process.stdout.write('end\n'),
});
process.stdout.write(`${JSON.stringify(result)}\n`);

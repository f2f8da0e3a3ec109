/** `assay fsck`: checks a gateway's ledger, log, disputes, holds, attestations, draws and jobs against each other. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK, parseCommandLine } from '#protocol/command-line';
import { recoverNative } from '#protocol/signer-native';
import { damageLine } from '../fsck/damage.ts';
import { findDamage } from '../fsck/fsck.ts';
import { readWholeDatabase } from '../store/whole-database.ts';
import { type CliIo, reasonOf } from './cli-io.ts';

const USAGE = `assay fsck --data-folder <folder>

Checks a gateway's database against itself: books, holds, budgets, log, checkpoints, signing keys, draws, epochs, jobs,
attestations, receipts, disputes and idempotency keys. Prints one line for each thing that is wrong: code, what it is about, what was found, what it means.
Changes nothing, and may run beside the gateway. Reads the whole database into memory.

  --data-folder <folder>   data folder of a gateway (assay.sqlite is in it)
  --help                   print this text

Exit codes: 0 nothing is wrong, 1 something is, 2 used wrongly.`;

/** @returns the exit code */
export async function runFsck(argv: readonly string[], io: CliIo): Promise<number> {
  const line = parseCommandLine(argv, { valued: ['data-folder'], switches: ['help'] });
  if (line.switches.has('help')) {
    io.print(USAGE);
    return EXIT_OK;
  }
  const folder = line.values.get('data-folder');
  const problems = folder === undefined ? [...line.problems, 'needs --data-folder'] : line.problems;
  if (folder === undefined || problems.length > 0) {
    for (const problem of problems) io.fail(`assay fsck: ${problem}`);
    return EXIT_MISUSED;
  }
  const file = path.join(folder, 'assay.sqlite');
  if (!existsSync(file)) {
    io.fail(`assay fsck: ${folder} holds no gateway database`);
    return EXIT_FAILED;
  }
  try {
    const { report, rows, domain } = await readWholeDatabase(file);
    const found = findDamage(report, rows, { domain, recover: recoverNative });
    for (const damage of found) io.print(damageLine(damage));
    const counts = `${rows.requests.length} requests, ${rows.logEntries.length} log entries, ${rows.disputes.length} disputes`;
    io.print(found.length === 0 ? `nothing is wrong: ${counts}` : `${found.length} found in ${counts}`);
    return found.length === 0 ? EXIT_OK : EXIT_FAILED;
  } catch (error) {
    // A page that SQLite cannot read ends the reading: that is a finding too.
    io.fail(`assay fsck: ${file} cannot be read: ${reasonOf(error)}`);
    return EXIT_FAILED;
  }
}

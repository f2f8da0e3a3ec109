/** Where and from what a result comes. */
import { execFileSync } from 'node:child_process';
import { cpus, release } from 'node:os';
import { ROOT } from '../../contract/program.ts';

export function provenance(): { date: string; commit: string; machine: string } {
  const [cpu] = cpus();
  const changed = git('status', '--porcelain', '--untracked-files=no') !== '';
  return {
    date: new Date().toISOString(),
    commit: git('rev-parse', '--short', 'HEAD') + (changed ? ' with changes' : ''),
    machine: `${cpus().length} x ${cpu?.model ?? 'unknown'}, Linux ${release()}, Node ${process.version}`,
  };
}

function git(...args: string[]): string {
  try {
    return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

/** The commit that a record or a failing seed belongs to. */
import { execFileSync } from 'node:child_process';

/** Twelve digits, with `+` where the working tree differs from it; `unknown` outside of a repository. */
export function commitOf(): string {
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8', stdio: 'pipe' }).trim();
  try {
    return `${git('rev-parse', '--short=12', 'HEAD')}${git('status', '--porcelain') === '' ? '' : '+'}`;
  } catch {
    return 'unknown';
  }
}

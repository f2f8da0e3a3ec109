/** Where the operator's key comes from. */
import { readFileSync } from 'node:fs';
import { adminKey as parseAdminKey } from '../config.ts';

/**
 * The key of the environment, else of the file.
 * @throws {Error} when the file cannot be read or holds no key; never quoting it
 */
export function readAdminKey(config: {
  readonly adminKey: string | null;
  readonly adminKeyFile: string | null;
}): string | null {
  if (config.adminKey !== null || config.adminKeyFile === null) return config.adminKey;
  const parsed = parseAdminKey(readFileSync(config.adminKeyFile, 'utf8').trim());
  if ('problem' in parsed) throw new Error(`the admin key file ${parsed.problem}`);
  return parsed.value;
}

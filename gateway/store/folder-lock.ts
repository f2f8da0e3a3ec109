/** One gateway a data folder: two over one database would sign two heads of one log. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';

/**
 * Takes the folder for this process, making it where it is missing. The system frees it however the process ends, a kill -9
 * included, which a file with a process id would not survive.
 * @throws {Error} where another process, or this one, has it
 */
export function lockFolder(folder: string): { release(): void } {
  mkdirSync(folder, { recursive: true });
  const lock = new Database(path.join(folder, 'lock'), { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) {
      throw new Error(`${folder} is in use by another assay process`);
    }
    throw error;
  }
  return { release: () => lock.close() };
}

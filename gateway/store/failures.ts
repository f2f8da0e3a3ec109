/** Storage failures as protocol errors: the code travels, statements and parameters do not (SPEC.md §13). */
import { ProtocolError } from '#protocol/errors';

/** Primary result codes that mean a mistake of ours, not a state of the disk. */
const PROGRAMMING = ['SQLITE_ERROR', 'SQLITE_MISUSE', 'SQLITE_RANGE', 'SQLITE_MISMATCH'];

/**
 * The error to hand on. SAFETY: drizzle's own errors carry parameters in their messages, so they never become a cause; SQLite's
 * messages name tables, columns and constraints only.
 */
export function storageFailure(error: unknown): unknown {
  if (error instanceof ProtocolError) return error;
  const sqlite = sqliteErrorIn(error);
  if (sqlite !== null) return fromSqlite(sqlite);
  if (isDrizzleError(error)) return new ProtocolError('internal_error', 'A database statement failed.');
  return error;
}

/** Whether the failure is a broken UNIQUE or PRIMARY KEY constraint. */
export function isUniqueViolation(error: unknown): boolean {
  const code = sqliteErrorIn(error)?.code;
  return code === 'SQLITE_CONSTRAINT_UNIQUE' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY';
}

interface SqliteFailure extends Error {
  readonly code: string;
}

function fromSqlite(failure: SqliteFailure): ProtocolError {
  const details = { sqlite: failure.code };
  if (failure.code.startsWith('SQLITE_CONSTRAINT')) {
    const constraint = failure.message.slice(failure.message.lastIndexOf(':') + 1).trim();
    return new ProtocolError('internal_error', 'A stored invariant refused the change.', {
      details: { ...details, constraint },
      cause: failure,
    });
  }
  if (PROGRAMMING.includes(failure.code)) {
    return new ProtocolError('internal_error', 'A database statement failed.', { details, cause: failure });
  }
  return new ProtocolError('storage_unavailable', 'The database cannot take the change now.', {
    retryable: true,
    details,
    cause: failure,
  });
}

/** The driver's error, looked for through the causes that drizzle wraps around it. */
function sqliteErrorIn(error: unknown): SqliteFailure | null {
  for (let e = error, depth = 0; e instanceof Error && depth < 8; e = e.cause, depth++) {
    if ('code' in e && typeof e.code === 'string' && e.code.startsWith('SQLITE_')) return e as SqliteFailure;
  }
  return null;
}

function isDrizzleError(error: unknown): boolean {
  return error instanceof Error && /^Drizzle/.test(error.constructor.name);
}

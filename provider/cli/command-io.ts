/** What the provider's commands may do to the world outside their arguments; handed in by the root. */
import { readFileSync } from 'node:fs';
import type { Clock, Rng } from '#protocol/env';
import { type ProviderConfig, parseProviderConfig } from '../config.ts';

export interface CommandIo {
  /** One line on standard output. */
  readonly print: (line: string) => void;
  /** One line on standard error. */
  readonly fail: (line: string) => void;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Folder of the embedded model. */
  readonly modelFolder: string;
}

/** Where `assay provider init` writes and the other commands look. */
export const CONFIG_FILE = './assay-provider.json';

/** How long a gateway or a provider may take to answer a command. */
const CALL_MS = 10_000;

/** A command that cannot go on; its text is for people. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** The configuration of a file and the environment. @throws {CommandError} with every problem */
export function readConfig(file: string, env: CommandIo['env']): ProviderConfig {
  let given: Record<string, unknown>;
  try {
    given = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch {
    throw new CommandError(`${file} cannot be read as a JSON object; \`assay provider init\` writes one`);
  }
  const result = parseProviderConfig({ env, flags: {}, file: given });
  if (!result.ok) throw new CommandError(result.problems.join('; '));
  return result.config;
}

/** A call whose answer is JSON; null where it is none. @throws {CommandError} when nothing answers */
export async function callJson(
  io: Pick<CommandIo, 'fetch' | 'clock'>,
  url: string,
  init: RequestInit = {},
): Promise<{ status: number; body: unknown; headers: Headers }> {
  const { status, text, headers } = await callText(io, url, init);
  return { status, body: parsed(text), headers };
}

/** A call with a deadline. @throws {CommandError} when nothing answers */
export async function callText(
  io: Pick<CommandIo, 'fetch' | 'clock'>,
  url: string,
  init: RequestInit = {},
): Promise<{ status: number; text: string; headers: Headers }> {
  const stop = new AbortController();
  const done = new AbortController();
  void io.clock.sleep(CALL_MS, done.signal).then(
    () => stop.abort(),
    () => undefined,
  );
  try {
    const response = await io.fetch(url, { ...init, signal: stop.signal });
    return { status: response.status, text: await response.text(), headers: response.headers };
  } catch {
    throw new CommandError(`${url} does not answer`);
  } finally {
    done.abort();
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The message of an error body, for one line. */
export function messageOf(body: unknown): string {
  const error = (body as { error?: { message?: unknown } } | null)?.error;
  return typeof error?.message === 'string' ? error.message.slice(0, 512) : 'the gateway did not say why';
}

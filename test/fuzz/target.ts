/** What a fuzzed parser is to the fuzzer. */
import { ERROR_CODES, type ErrorCode, ProtocolError } from '#protocol/errors';
import { CANARY, type Sample } from './mutate.ts';

export type Fate = 'accepted' | 'rejected';

export interface Target {
  readonly name: string;
  /** Valid inputs; mutations begin with them. */
  readonly samples: readonly Sample[];
  /** Inputs that it gets for one of a target without; quick parsers get more. */
  readonly weight?: number;
  /** Judges one input. @throws {Violation} where the parser did what it must never do */
  readonly run: (input: Uint8Array) => Fate | Promise<Fate>;
}

export interface Targets {
  readonly list: readonly Target[];
  close(): Promise<void>;
}

/** A rule that a parser broke; its text holds no input. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** @throws {Violation} where the text shows something of the input */
export function refuseCanary(text: string, where: string): void {
  if (text.includes(CANARY)) throw new Violation(`content of the input in ${where}`);
}

/** A clean error is one of ours, with a code of the list, that shows nothing of the input. @throws {Violation} */
export function cleanError(error: unknown, allowed: readonly ErrorCode[] = ERROR_CODES): Fate {
  if (!(error instanceof ProtocolError)) {
    const { name, stack } = error instanceof Error ? error : { name: typeof error, stack: '' };
    throw new Violation(`threw ${name} ${(stack ?? '').split('\n').slice(1, 4).join(' ')}`);
  }
  if (error.code === 'internal_error' || !allowed.includes(error.code)) {
    throw new Violation(`failed with ${error.code}`);
  }
  refuseCanary(`${error.message} ${JSON.stringify(error.details)}`, 'an error');
  return 'rejected';
}

const decoder = new TextDecoder();

/** Input as text, broken sequences replaced: for parsers that are handed strings. */
export function textOf(input: Uint8Array): string {
  return decoder.decode(input);
}

/** @throws {Violation} where the two are not the same */
export function mustEqual(a: unknown, b: unknown, what: string): void {
  if (JSON.stringify(a) !== JSON.stringify(b)) throw new Violation(`${what} does not come out as it went in`);
}

/** Judges an HTTP answer: an error object of the client's fault, or success. @throws {Violation} */
export async function judgeResponse(response: Response, allowed5xx: readonly string[] = []): Promise<Fate> {
  if (response.ok) {
    await response.body?.cancel();
    return 'accepted';
  }
  const text = await response.text();
  const { code, param } = (JSON.parse(text) as { error?: { code?: unknown; param?: unknown } }).error ?? {};
  // OpenAI's own words name the model that there is not. Else the name of a field that there is not, if it looks like one, is all that is
  // repeated of a request.
  const said = typeof param === 'string' && /^[\w.]{1,128}$/.test(param) ? text.replaceAll(param, '') : text;
  if (code !== 'model_not_found') refuseCanary(said, 'an error response');
  if (typeof code !== 'string') throw new Violation(`status ${response.status} without a code`);
  if (response.status >= 500 && !allowed5xx.includes(code)) throw new Violation(`status ${response.status} ${code}`);
  return 'rejected';
}

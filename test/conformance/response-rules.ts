/** What a client of OpenAI may expect of any response: the official schema of its route, and the rules of streams. */
import type { OfficialSchemas } from './official-schemas.ts';

/** One response as a client has read it to its end. */
export interface SeenResponse {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

interface RouteSchemas {
  readonly plain: string;
  readonly chunk?: string;
}

const ROUTES: readonly [method: string, path: RegExp, schemas: RouteSchemas][] = [
  [
    'POST',
    /^\/v1\/chat\/completions$/,
    { plain: 'CreateChatCompletionResponse', chunk: 'CreateChatCompletionStreamResponse' },
  ],
  ['POST', /^\/v1\/completions$/, { plain: 'CreateCompletionResponse', chunk: 'CreateCompletionResponse' }],
  ['GET', /^\/v1\/models$/, { plain: 'ListModelsResponse' }],
  ['GET', /^\/v1\/models\/.+$/, { plain: 'Model' }],
];

/** Every rule that the response breaks, in words. */
export function problemsOf(schemas: OfficialSchemas, seen: SeenResponse): string[] {
  const { method, path, status, text, headers } = seen;
  const type = headers.get('content-type') ?? '';
  if (status >= 400 && path.startsWith('/v1/')) return errorProblems(schemas, type, headers, text);
  const route = ROUTES.find(([verb, pattern]) => verb === method && pattern.test(path))?.[2];
  if (route === undefined || status !== 200) return [];
  if (type.startsWith('text/event-stream') && route.chunk !== undefined) {
    return streamProblems(schemas, route.chunk, text);
  }
  // An SDK hands out a string where the type does not say JSON.
  const problems = type.startsWith('application/json') ? [] : [`content-type ${type}`];
  return [...problems, ...problemOf(schemas, route.plain, text)];
}

function problemOf(schemas: OfficialSchemas, name: string, text: string): string[] {
  const value = parsed(text);
  if (value === undefined) return [`${name}: not JSON`];
  const problem = schemas.problemOf(name, value);
  return problem === null ? [] : [problem];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function errorProblems(schemas: OfficialSchemas, type: string, headers: Headers, text: string): string[] {
  const problems = problemOf(schemas, 'ErrorResponse', text);
  if (!type.startsWith('application/json')) problems.push(`an error of type ${type}`);
  // Without it SDKs repeat every 409, 429 and 5xx twice, at full price.
  if (!/^(true|false)$/.test(headers.get('x-should-retry') ?? '')) problems.push('an error without x-should-retry');
  if (headers.get('x-request-id') === null) problems.push('an error without x-request-id');
  return problems;
}

interface Chunk {
  readonly id?: unknown;
  readonly created?: unknown;
  readonly model?: unknown;
  readonly usage?: unknown;
  readonly error?: unknown;
  readonly choices?: readonly {
    readonly index?: number;
    readonly delta?: { readonly role?: unknown };
    readonly finish_reason?: unknown;
  }[];
}

/** A client that left sees a stream without its end; one that has any end has it whole. */
function streamProblems(schemas: OfficialSchemas, name: string, text: string): string[] {
  const frames = text.split('\n\n').filter((frame) => frame !== '' && !frame.startsWith(':'));
  const problems = frames.flatMap((frame) => (/^data: [^\n]+$/.test(frame) ? [] : ['a frame is no single data line']));
  const payloads = frames.map((frame) => frame.slice('data: '.length));
  const done = payloads.indexOf('[DONE]');
  if (done >= 0 && done !== payloads.length - 1) problems.push('something follows [DONE]');
  const chunks = payloads.filter((payload) => payload !== '[DONE]').map(parsed) as (Chunk | undefined)[];
  const failed = chunks.findIndex((chunk) => chunk !== undefined && 'error' in chunk);
  if (failed >= 0 && failed !== payloads.length - 1) problems.push('something follows an error');
  for (const [at, chunk] of chunks.entries()) {
    const problem = schemas.problemOf(at === failed ? 'ErrorResponse' : name, asPlain(name, chunk));
    if (problem !== null) problems.push(problem);
  }
  const whole = chunks.filter((chunk, at): chunk is Chunk => chunk !== undefined && at !== failed);
  return [...problems, ...chunkProblems(name, whole, done >= 0)];
}

/**
 * The schema of text completions is that of the plain answer; in a stream the reason is null until the last chunk, and so is the
 * usage, as the description of `stream_options` says.
 */
function asPlain(name: string, chunk: Chunk | undefined): unknown {
  if (name !== 'CreateCompletionResponse' || chunk?.choices === undefined) return chunk;
  const choices = chunk.choices.map((choice) =>
    choice.finish_reason === null ? { ...choice, finish_reason: 'stop' } : choice,
  );
  const { usage, ...rest } = chunk;
  return { ...rest, ...(usage === null ? {} : { usage }), choices };
}

function chunkProblems(name: string, chunks: readonly Chunk[], isComplete: boolean): string[] {
  const problems: string[] = [];
  if (new Set(chunks.map(({ id, created, model }) => JSON.stringify([id, created, model]))).size > 1) {
    problems.push('id, created or model change within a stream');
  }
  const started = new Set<number>();
  const finished = new Set<number>();
  for (const { choices = [] } of chunks) {
    for (const { index, delta, finish_reason } of choices) {
      if (index === undefined) problems.push('a choice without index');
      const at = index ?? 0;
      if (finish_reason === undefined || finish_reason === '') problems.push('finish_reason is absent or empty');
      if (finished.has(at)) problems.push('a choice goes on after its finish');
      if (name === 'CreateChatCompletionStreamResponse' && (delta?.role === 'assistant') === started.has(at)) {
        problems.push('the role is not in the first delta alone');
      }
      started.add(at);
      if (finish_reason != null) finished.add(at);
    }
  }
  if (isComplete && (finished.size === 0 || finished.size !== started.size)) problems.push('a choice has no finish');
  return [...problems, ...usageProblems(chunks, isComplete)];
}

/** Either no chunk has a usage, or all have: null, and a last one without choices that has it. */
function usageProblems(chunks: readonly Chunk[], isComplete: boolean): string[] {
  const withUsage = chunks.filter((chunk) => 'usage' in chunk);
  if (withUsage.length === 0) return [];
  if (withUsage.length !== chunks.length) return ['usage is in some chunks only'];
  const counted = chunks.filter(({ usage }) => usage !== null);
  if (!isComplete) return [];
  const last = chunks.at(-1)!;
  const fits = counted.length === 1 && counted[0] === last && last.choices?.length === 0;
  return fits ? [] : ['the usage is not in one last chunk without choices'];
}

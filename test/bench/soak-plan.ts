/** What a soak asks: mixed requests, decided by a seed alone. */
import { SeededRng } from '../simulation/seeded-rng.ts';

/** One request of the soak. */
export interface SoakRequest {
  readonly index: number;
  /** Body as it is sent, byte for byte; the checks read the same text. */
  readonly body: string;
  readonly mode: 'single' | 'quorum' | 'witnessed';
  readonly n: number;
  /** Whether the answer carries the evidence of its witnesses. */
  readonly isFull: boolean;
  readonly stream: boolean;
  readonly maxTokens: number;
  readonly stop: readonly string[];
}

const QUESTIONS = [
  'What is the capital of Norway?',
  'Tell me about Japan.',
  'Write a short story about a fox.',
  'What is 23 + 45?',
  'How can I sleep better?',
  'Explain the word river in a few sentences.',
  'Tell me a story about a robot.',
  'Tell me about Kenya.',
  'Was ist eine Brücke? 🌉',
  'What is iron, and what is it used for?',
  'Count from 1 to 20.',
  'Give me advice for a job interview.',
] as const;
const SYSTEMS = ['You are brief.', 'You are a helpful assistant.', 'Answer as a pirate would.'] as const;
const STOPS: readonly (readonly string[])[] = [['.'], [' the'], ['\n', ', and'], ['e'], ['never said']];
const TEMPERATURES = [0.3, 0.7, 1, 1.4] as const;
/** Longest answer in tokens. */
const TOKENS_MAX = 200;
/** Of the requests to three seats of engines that compute differently: one generates and two score. */
const WITNESSED_SHARE = 1 / 3;
/** Of those, the ones that ask for the witnesses' evidence. */
const FULL_SHARE = 1 / 2;

/**
 * @param tokensMax longest answer in tokens
 * @param mixed whether engines compute differently: then some of the same requests are witnessed in place of a quorum
 */
export function soakRequests(seed: string, count: number, tokensMax = TOKENS_MAX, mixed = false): SoakRequest[] {
  const rng = new SeededRng(`soak/${seed}`);
  return Array.from({ length: count }, (_, index) => soakRequest(rng.branch(String(index)), index, tokensMax, mixed));
}

function soakRequest(rng: SeededRng, index: number, tokensMax: number, mixed: boolean): SoakRequest {
  const n = rng.pick([1, 3, 3, 5]);
  const mode = modeOf(rng.branch('mode'), n, mixed);
  const stream = rng.chance(0.5);
  const maxTokens = rng.chance(0.1) ? rng.between(1, 3) : rng.between(1, tokensMax);
  const stop = rng.chance(0.25) ? rng.pick(STOPS) : [];
  const fields = {
    model: rng.chance(0.2) ? `minnow-5m:${suffixOf(mode, n)}` : 'minnow-5m',
    messages: messages(rng),
    [rng.chance(0.5) ? 'max_tokens' : 'max_completion_tokens']: maxTokens,
    ...sampling(rng),
    ...(stop.length > 0 ? { stop: stop.length === 1 && rng.chance(0.5) ? stop[0] : stop } : {}),
    ...(stream ? { stream: true } : {}),
    ...(stream && rng.chance(0.5) ? { stream_options: { include_usage: true } } : {}),
    ...(rng.chance(0.2) ? { user: 'soak', metadata: { index: String(index) } } : {}),
  };
  const isFull = mode === 'witnessed' && fields.model === 'minnow-5m' && rng.branch('evidence').chance(FULL_SHARE);
  const verification = {
    ...(mode === 'single' ? { mode } : { mode, n }),
    ...(isFull ? { evidence: 'full' } : {}),
    ...(stream && rng.chance(0.3) ? { release: 'eager' } : {}),
  };
  const body = { ...fields, ...(fields.model === 'minnow-5m' ? { verification } : {}) };
  return { index, body: JSON.stringify(body), mode, n, isFull, stream, maxTokens, stop };
}

function modeOf(rng: SeededRng, n: number, mixed: boolean): SoakRequest['mode'] {
  if (n === 1) return 'single';
  return mixed && n === 3 && rng.chance(WITNESSED_SHARE) ? 'witnessed' : 'quorum';
}

function suffixOf(mode: SoakRequest['mode'], n: number): string {
  return mode === 'single' ? mode : `${mode}-${n}`;
}

function messages(rng: SeededRng): object[] {
  const question = { role: 'user', content: rng.pick(QUESTIONS) };
  const parts = { role: 'user', content: [{ type: 'text', text: rng.pick(QUESTIONS) }] };
  const asked = rng.chance(0.2) ? parts : question;
  const system = rng.chance(0.2) ? [{ role: rng.pick(['system', 'developer']), content: rng.pick(SYSTEMS) }] : [];
  const earlier = rng.chance(0.2)
    ? [
        { role: 'user', content: rng.pick(QUESTIONS) },
        { role: 'assistant', content: 'I do not know.' },
      ]
    : [];
  return [...system, ...earlier, asked];
}

function sampling(rng: SeededRng): object {
  if (rng.chance(0.4)) return { temperature: 0 };
  return {
    temperature: rng.pick(TEMPERATURES),
    ...(rng.chance(0.5) ? { seed: rng.between(-(2 ** 31), 2 ** 31) } : {}),
    ...(rng.chance(0.3) ? { top_p: rng.pick([0.5, 0.9, 0.95]) } : {}),
    ...(rng.chance(0.3) ? { top_k: rng.pick([1, 20, 50]) } : {}),
    ...(rng.chance(0.2) ? { presence_penalty: 0.5, frequency_penalty: 0.3 } : {}),
    ...(rng.chance(0.1) ? { logit_bias: { '300': 3, '301': -100 } } : {}),
  };
}

/** The cheat demonstration: asks until the liar is drawn, then shows dispute, ruling, slash and books. */
import type { Clock } from '#protocol/env';
import type { Hash } from '#protocol/hash';
import type { DeskMove } from '../dispute/desk.ts';
import type { RunningGateway } from '../main.ts';
import type { RunningProvider } from './network.ts';

export interface CheatShow {
  readonly gateway: RunningGateway;
  readonly providers: readonly RunningProvider[];
  readonly moves: readonly DeskMove[];
  readonly clock: Clock;
  readonly print: (line: string) => void;
}

const QUESTIONS = [
  'Tell me about Japan.',
  'Write a short story about a fox.',
  'What is 23 + 45?',
  'Tell me about Norway.',
  'Explain the word river in a few sentences.',
  'Tell me about Kenya.',
  'How can I sleep better?',
  'Tell me a story about a robot.',
];
/** Of three seats among five, the liar misses one with probability 0.4; 0.4^16 is below 10^-6. */
const REQUESTS_MAX = 16;
const WAIT_MS = 50;
/** 20 seconds: evidence, one referee score, one settlement. */
const WAITS_MAX = 400;

interface Answer {
  readonly choices: readonly { readonly message: { readonly content: string } }[];
  readonly assay: {
    readonly verdict: string;
    readonly agreement: { readonly standing: number; readonly of: number };
    readonly faults: readonly {
      readonly provider: string;
      readonly fault: string;
      readonly disputeId: Hash | null;
    }[];
  };
}

interface DisputeView {
  readonly id: string;
  readonly provider: string;
  readonly fault: string;
  readonly state: string;
  readonly ruling: string | null;
  readonly first_divergence: number | null;
  readonly finding: { readonly reason: string; readonly count: number } | null;
  readonly frozen_nano: string;
}

/** @returns 0 when the liar was convicted and slashed */
export async function showCheat(show: CheatShow): Promise<number> {
  return (await catchLiar(show)) === null ? 1 : showBooks(show, show.providers[0]!.address);
}

/** Asks until the first provider is caught. @returns the upheld dispute, or null where it never was */
export async function catchLiar(show: CheatShow): Promise<Hash | null> {
  const { gateway, providers, print } = show;
  const liar = providers[0]!;
  print('');
  print(`${liar.spec.name} (${liar.address}) claims minnow-5m and quietly runs minnow-1m.`);
  for (let i = 0; i < REQUESTS_MAX; i++) {
    const question = QUESTIONS[i % QUESTIONS.length]!;
    const answer = await ask(gateway, question);
    const { verdict, agreement, faults } = answer.assay;
    print('');
    print(`> ${question}`);
    print(`< ${answer.choices[0]!.message.content}`);
    print(`  verdict ${verdict}, ${agreement.standing} of ${agreement.of} stand behind it`);
    const caught = faults.find((fault) => fault.disputeId !== null);
    if (!caught) {
      print('  the liar was not drawn, or said the same as the others');
      continue;
    }
    if (await showDispute(show, caught.disputeId!)) return caught.disputeId;
  }
  print('The liar was never convicted.');
  return null;
}

async function ask(gateway: RunningGateway, question: string): Promise<Answer> {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${gateway.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'minnow-5m', temperature: 0, messages: [{ role: 'user', content: question }] }),
  });
  if (!response.ok) throw new Error(`the gateway answered ${response.status}`);
  return (await response.json()) as Answer;
}

/** The JSON of a public route. @throws {Error} */
export async function readJson<T>(gateway: RunningGateway, route: string): Promise<T> {
  const response = await fetch(`${gateway.url}${route}`);
  if (!response.ok) throw new Error(`${route} answered ${response.status}`);
  return (await response.json()) as T;
}

/** Follows one dispute to its end. @returns whether it was upheld */
async function showDispute({ gateway, moves, clock, print }: CheatShow, disputeId: string): Promise<boolean> {
  for (let waits = 0; waits < WAITS_MAX; waits++) {
    if (moves.some((move) => move.disputeId === disputeId && move.kind === 'settled')) break;
    await clock.sleep(WAIT_MS);
  }
  const dispute = await readJson<DisputeView>(gateway, `/v1/disputes/${disputeId}`);
  print(`  dispute ${dispute.id.slice(0, 18)}… against ${dispute.provider}: ${dispute.fault}`);
  print(`  first diverging token: ${dispute.first_divergence}`);
  if (dispute.finding) print(`  evidence: ${dispute.finding.reason} (${dispute.finding.count})`);
  print(`  ruling: ${dispute.ruling}; state: ${dispute.state}`);
  if (dispute.ruling === 'upheld' && dispute.frozen_nano !== '0') print(`  slashed: ${dispute.frozen_nano} nano`);
  return dispute.ruling === 'upheld' && dispute.state === 'settled';
}

interface ProviderView {
  readonly id: string;
  readonly operator: string;
  readonly role: string;
  readonly stake_nano: string;
  readonly earnings_nano: string;
  readonly disputes_upheld: number;
}

async function showBooks({ gateway, print }: CheatShow, liar: string): Promise<number> {
  const { data } = await readJson<{ data: ProviderView[] }>(gateway, '/v1/providers');
  print('');
  print('GET /v1/providers:');
  for (const provider of data) {
    const mark = provider.id === liar ? '  <- slashed' : '';
    print(
      `  ${provider.operator.padEnd(17)} ${provider.role.padEnd(8)} stake ${provider.stake_nano.padStart(13)}  ` +
        `earned ${provider.earnings_nano.padStart(9)}  upheld ${provider.disputes_upheld}${mark}`,
    );
  }
  const problems = await gateway.checkBooks();
  print(problems.length === 0 ? 'Books balance.' : `Books do not balance: ${problems.length} problems.`);
  return problems.length === 0 ? 0 : 1;
}

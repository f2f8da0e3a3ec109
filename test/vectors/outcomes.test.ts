/** Every outcome of a committee of up to five, against a table that an independent script made from spec-judge.md §7.5. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type Ballot, type Decision, decide, type SplitState } from '../../gateway/judge/decide.ts';
import type { ScoreVote } from '../../gateway/judge/score.ts';

type Serve = [number, number[], number, number, number, number[]];
type Setup = [scorers: number, referee: number, moreScorers: number, moreReferee: number];
interface Group {
  readonly n: number;
  readonly agree: number;
  readonly clusters: number[];
  readonly setup: Setup;
  readonly cases: number;
  readonly outcomes?: string;
  readonly sha256?: string;
}
const table = JSON.parse(readFileSync(new URL('./outcomes.json', import.meta.url), 'utf8')) as {
  cases: number;
  firstServe: number;
  serves: Serve[];
  groups: Group[];
};

const VOTES: readonly ScoreVote[] = ['accept', 'reject', 'abstain'];
const letters = new Map(
  table.serves.map((serve, i) => [JSON.stringify(serve), String.fromCharCode(table.firstServe + i)]),
);

/** All columns of votes, first voter most significant. */
function allColumns(voters: number): ScoreVote[][] {
  if (voters === 0) return [[]];
  return VOTES.flatMap((vote) => allColumns(voters - 1).map((rest) => [vote, ...rest]));
}

/** Ascending choices of `size` columns from `from` on. */
function* ascending(columns: readonly ScoreVote[][], size: number, from: number): Generator<ScoreVote[][]> {
  if (size === 0) yield [];
  else {
    for (let i = from; i < columns.length; i++) {
      for (const rest of ascending(columns, size - 1, i)) yield [columns[i]!, ...rest];
    }
  }
}

/** One column per cluster; those of equal clusters ascend. */
function* casesOf(clusters: readonly number[], columns: readonly ScoreVote[][]): Generator<ScoreVote[][]> {
  if (clusters.length === 0) {
    yield [];
    return;
  }
  const equal = clusters.filter((size) => size === clusters[0]).length;
  for (const first of ascending(columns, equal, 0)) {
    for (const rest of casesOf(clusters.slice(equal), columns)) yield [...first, ...rest];
  }
}

function stateOf({ n, agree, clusters, setup }: Group, columns: readonly ScoreVote[][]): SplitState {
  const [scorers, referee, moreScorers, moreReferee] = setup;
  const ballots = Array.from({ length: scorers + referee }, (_, voter): Ballot => {
    return { operator: `op-${voter}`, referee: voter === scorers, votes: columns.map((column) => column[voter]!) };
  });
  return { n, agree, clusters, ballots, moreScorers: moreScorers === 1, moreReferee: moreReferee === 1 };
}

function letterOf(decision: Decision): string {
  if (decision.step === 'ask_scorers') return 'S';
  if (decision.step === 'ask_referee') return 'F';
  if (decision.step === 'inconclusive') return 'I';
  const { cluster, behind, standing, of, needed, rejected } = decision;
  return letters.get(JSON.stringify([cluster, behind, standing, of, needed, rejected])) ?? '?';
}

function packed(text: string): string {
  return text.replace(/(.)\1*/gu, (run, letter: string) => (run.length === 1 ? letter : `${letter}${run.length}`));
}

it.each([1, 2, 3, 4, 5])('every case of n = %i ends as the table says', (n) => {
  const wrong: unknown[] = [];
  let cases = 0;
  for (const group of table.groups.filter((item) => item.n === n)) {
    const columns = allColumns(group.setup[0] + group.setup[1]);
    const outcomes: string[] = [];
    for (const votes of casesOf(group.clusters, columns)) outcomes.push(letterOf(decide(stateOf(group, votes))));
    const text = outcomes.join('');
    cases += outcomes.length;
    const fits =
      group.sha256 === undefined
        ? packed(text) === group.outcomes
        : createHash('sha256').update(text).digest('hex') === group.sha256;
    if (!fits || outcomes.length !== group.cases) wrong.push({ ...group, outcomes: undefined });
  }
  expect(wrong).toEqual([]);
  expect(cases).toBe(table.groups.filter((item) => item.n === n).reduce((sum, group) => sum + group.cases, 0));
});

it('the table has every case that it says it has', () => {
  expect(table.groups.reduce((sum, group) => sum + group.cases, 0)).toBe(table.cases);
  expect(table.cases).toBe(731_283);
});

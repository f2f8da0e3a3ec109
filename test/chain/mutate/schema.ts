/**
 * All mutants in one text: the contracts are compiled once, and the block's random value says which mutant lives. A run of the tests then costs
 * seconds, where solcjs would need half a minute for each change.
 */
import type { Mutant } from './operators.ts';

/** What switches mutants: an opcode that the contracts do not use, that costs no call, and that forge sets. */
export const SWITCH = 'block.prevrandao';

/** One place of the text and its mutants, with their numbers. */
interface Site {
  readonly start: number;
  readonly end: number;
  readonly mutants: { readonly number: number; readonly mutant: Mutant }[];
}

/**
 * The text with every mutant in it.
 * @param numbered mutants of this text, with numbers of 1 or more
 */
export function mutantSchema(bytes: Buffer, numbered: readonly { number: number; mutant: Mutant }[]): string {
  const sites = new Map<string, Site>();
  for (const one of numbered) {
    const { start, end } = one.mutant;
    const key = `${start}-${end}`;
    const site = sites.get(key) ?? { start, end, mutants: [] };
    site.mutants.push(one);
    sites.set(key, site);
  }
  const ordered = [...sites.values()].sort((a, b) => a.start - b.start || b.end - a.end);
  return asView(render(bytes, 0, bytes.length, ordered));
}

/** Whatever asks for the switch is no longer pure. Comments may change too; nobody reads them. */
export function asView(text: string): string {
  return text.replaceAll(/\bpure\b/g, 'view');
}

function render(bytes: Buffer, start: number, end: number, sites: readonly Site[]): string {
  let text = '';
  let at = start;
  for (let i = 0; i < sites.length; ) {
    const site = sites[i]!;
    let next = i + 1;
    while (next < sites.length && sites[next]!.start < site.end) next += 1;
    text += bytes.subarray(at, site.start).toString('utf8');
    text += wrap(render(bytes, site.start, site.end, sites.slice(i + 1, next)), site);
    at = site.end;
    i = next;
  }
  return text + bytes.subarray(at, end).toString('utf8');
}

/** Changes of an expression lie inside those of the condition that it is. */
const ORDER = ['expression', 'never', 'always', 'statement', 'dropped', 'modifier'];

function wrap(inner: string, { mutants }: Site): string {
  const ordered = [...mutants].sort((a, b) => ORDER.indexOf(a.mutant.shape) - ORDER.indexOf(b.mutant.shape));
  return ordered.reduce((text, { number, mutant }) => one(text, number, mutant), inner);
}

function one(text: string, number: number, { shape, after }: Mutant): string {
  switch (shape) {
    case 'expression':
      return `(${SWITCH} == ${number} ? ${after} : (${text}))`;
    case 'never':
      return `(${SWITCH} != ${number} && (${text}))`;
    case 'always':
      return `(${SWITCH} == ${number} || (${text}))`;
    case 'statement':
      return `{ if (${SWITCH} == ${number}) { ${after}; } else { ${text} } }`;
    case 'dropped':
      return `{ if (${SWITCH} != ${number}) { ${text} } }`;
    case 'modifier':
      return `${text}Unless(${number})`;
  }
}

/** The two modifiers of the library that guard something, with a mutant's number. */
export const LIBRARY_PATCHES: Readonly<Record<string, readonly [before: string, added: string]>> = {
  'utils/ReentrancyGuardTransient.sol': [
    'modifier nonReentrant()',
    `modifier nonReentrantUnless(uint256 n) { if (${SWITCH} != n) _nonReentrantBefore(); _; if (${SWITCH} != n) _nonReentrantAfter(); }\n    `,
  ],
  'access/Ownable.sol': [
    'modifier onlyOwner()',
    `modifier onlyOwnerUnless(uint256 n) { if (${SWITCH} != n) _checkOwner(); _; }\n    `,
  ],
};

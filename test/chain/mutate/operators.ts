/**
 * What can be wrong with a contract: every guard gone, every comparison at its edge moved, every sum, product and assignment changed. Loop steps
 * and events are left alone: the first only makes loops endless, nothing on chain reads the second. Constants cannot be switched at run time.
 */
import { createHash } from 'node:crypto';
import { isNode, type Node, rangeOf, type Source } from './ast.ts';

/** How a mutant stands in the text: instead of an expression, beside a condition, instead of a statement, or in place of a modifier. */
export type Shape = 'expression' | 'never' | 'always' | 'dropped' | 'statement' | 'modifier';

export interface Mutant {
  /** Of file, function, operator and change: the same as long as the function's text is. */
  readonly id: string;
  readonly file: string;
  /** Name of the function, or what kind of function it is. */
  readonly fn: string;
  readonly line: number;
  readonly operator: string;
  readonly shape: Shape;
  /** Bytes that are replaced. */
  readonly start: number;
  readonly end: number;
  readonly before: string;
  readonly after: string;
}

const EDGES: Readonly<Record<string, string>> = {
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '==': '!=',
  '!=': '==',
};
const SUMS: Readonly<Record<string, string>> = {
  '+': '-',
  '-': '+',
  '*': '/',
  '/': '*',
  '%': '/',
  '&': '|',
  '|': '&',
  '^': '&',
  '<<': '>>',
  '>>': '<<',
};
const ASSIGNED: Readonly<Record<string, string>> = { '+=': '-=', '-=': '+=', '>>=': '<<=', '<<=': '>>=', '|=': '&=' };

type Found = Omit<Mutant, 'id' | 'file' | 'fn' | 'line'>;

/** All mutants of one file, in the order of their places. */
export function mutantsOf(source: Source): Mutant[] {
  const mutants: Mutant[] = [];
  for (const body of functionsOf(source.tree)) {
    const found: Found[] = [];
    visit(body, source.bytes, found, false);
    const text = textOf(source.bytes, body);
    const [from] = rangeOf(body);
    for (const one of found) {
      const key = [source.file, text, one.operator, one.start - from, one.end - from, one.after].join('\0');
      const id = createHash('sha256').update(key).digest('hex').slice(0, 16);
      const fn = String(body['name'] || body['kind']);
      mutants.push({ ...one, id, file: source.file, fn, line: lineOf(source.bytes, one.start) });
    }
  }
  return mutants.sort((a, b) => a.start - b.start || b.end - a.end);
}

function functionsOf(tree: Node): Node[] {
  const nodes = (tree['nodes'] as readonly Node[]).filter(({ nodeType }) => nodeType === 'ContractDefinition');
  return nodes.flatMap((contract) =>
    (contract['nodes'] as readonly Node[]).filter(({ nodeType, body }) => nodeType === 'FunctionDefinition' && body),
  );
}

function visit(node: Node, bytes: Buffer, found: Found[], isLoopStep: boolean): void {
  if (node.nodeType === 'InlineAssembly') return;
  RULES[node.nodeType]?.(node, bytes, found, isLoopStep);
  for (const [member, value] of Object.entries(node)) {
    const isStep = member === 'loopExpression' || member === 'initializationExpression';
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) visit(child, bytes, found, isStep);
  }
}

type Rule = (node: Node, bytes: Buffer, found: Found[], isLoopStep: boolean) => void;

const RULES: Readonly<Record<string, Rule>> = {
  BinaryOperation(node, bytes, found) {
    const operator = String(node['operator']);
    const left = textOf(bytes, node['leftExpression'] as Node);
    const right = textOf(bytes, node['rightExpression'] as Node);
    if (isConstant(node)) return;
    const put = (name: string, after: string) => found.push(change(node, bytes, name, 'expression', after));
    if (operator === '||' || operator === '&&') {
      put('operand', left);
      put('operand', right);
    }
    if (operator in EDGES) put('comparison', `${left} ${EDGES[operator]} ${right}`);
    if (operator in SUMS) put('arithmetic', `${left} ${SUMS[operator]} ${right}`);
    if (operator === '+' || operator === '-') put('arithmetic', left);
  },
  UnaryOperation(node, bytes, found) {
    if (node['operator'] !== '!') return;
    found.push(change(node, bytes, 'condition', 'expression', textOf(bytes, node['subExpression'] as Node)));
  },
  Conditional(node, bytes, found) {
    for (const branch of ['trueExpression', 'falseExpression']) {
      found.push(change(node, bytes, 'condition', 'expression', textOf(bytes, node[branch] as Node)));
    }
  },
  IfStatement(node, bytes, found) {
    const condition = node['condition'] as Node;
    found.push(change(condition, bytes, 'guard', 'never', 'false'));
    const body = node['trueBody'] as Node;
    // A guard that always throws is caught by any test that passes it.
    if (body.nodeType !== 'RevertStatement') found.push(change(condition, bytes, 'condition', 'always', 'true'));
  },
  Return(node, bytes, found) {
    const value = node['expression'];
    if (!isNode(value) || value.nodeType !== 'Literal' || value['kind'] !== 'bool') return;
    found.push(change(value, bytes, 'condition', 'expression', value['value'] === 'true' ? 'false' : 'true'));
  },
  ExpressionStatement(node, bytes, found, isLoopStep) {
    if (isLoopStep) return;
    const inner = node['expression'] as Node;
    const operator = String(inner['operator']);
    // A storage pointer without a value does not compile.
    if (typeOf(inner).includes('storage pointer')) return;
    found.push(statement(node, bytes, inner.nodeType === 'FunctionCall' ? 'call' : 'assignment', 'dropped', ''));
    if (inner.nodeType !== 'Assignment' || !(operator in ASSIGNED)) return;
    const [left, right] = ['leftHandSide', 'rightHandSide'].map((side) => textOf(bytes, inner[side] as Node));
    found.push(statement(node, bytes, 'arithmetic', 'statement', `${left} ${ASSIGNED[operator]} ${right}`));
  },
  ModifierInvocation(node, bytes, found) {
    const name = textOf(bytes, node);
    if (name === 'nonReentrant' || name === 'onlyOwner') found.push(change(node, bytes, 'guard', 'modifier', ''));
  },
};

/** Of literals alone: the compiler computes it. */
function isConstant(node: Node): boolean {
  return typeOf(node).startsWith('int_const') || typeOf(node).startsWith('rational_const');
}

function typeOf(node: Node): string {
  return (node['typeDescriptions'] as { typeString?: string } | undefined)?.typeString ?? '';
}

function change(node: Node, bytes: Buffer, operator: string, shape: Shape, after: string): Found {
  const [start, end] = rangeOf(node);
  return { operator, shape, start, end, before: textOf(bytes, node), after };
}

/** With its semicolon. */
function statement(node: Node, bytes: Buffer, operator: string, shape: Shape, after: string): Found {
  const [start, end] = rangeOf(node);
  const stop = bytes.indexOf(';', end) + 1;
  return { operator, shape, start, end: stop, before: bytes.subarray(start, end).toString('utf8'), after };
}

function textOf(bytes: Buffer, node: Node): string {
  const [start, end] = rangeOf(node);
  return bytes.subarray(start, end).toString('utf8');
}

function lineOf(bytes: Buffer, offset: number): number {
  let line = 1;
  for (let at = bytes.indexOf(10); at !== -1 && at < offset; at = bytes.indexOf(10, at + 1)) line += 1;
  return line;
}

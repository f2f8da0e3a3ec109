/** Syntax trees of the contracts, as the compiler itself sees them: a mutant changes a node, never a piece of text that looks like one. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** A node of solc's tree. Only what is asked for below has a type. */
export interface Node {
  readonly nodeType: string;
  /** `start:length:file`, in bytes. */
  readonly src: string;
  readonly [member: string]: unknown;
}

export interface Source {
  /** Path from the root, with forward slashes. */
  readonly file: string;
  readonly bytes: Buffer;
  readonly tree: Node;
}

/** Bytes of a node in its file. */
export function rangeOf({ src }: Node): readonly [start: number, end: number] {
  const [start, length] = src.split(':').map(Number);
  return [start!, start! + length!];
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'nodeType' in value;
}

/** Solidity files under a folder, in order, as paths from the root. */
export function solidityFiles(root: string, folder: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.sol'))
    .map((name) => path.posix.join(folder, name.replaceAll(path.sep, '/')))
    .sort();
}

/**
 * Parses files and all that they import.
 * @param files paths from `root`; dependencies are read from its node_modules
 * @throws {Error} where the compiler refuses one
 */
export function parseSources(root: string, files: readonly string[]): Source[] {
  const texts = new Map<string, Buffer>();
  for (const file of files) readWithImports(root, file, texts);
  const input = JSON.stringify({
    language: 'Solidity',
    sources: Object.fromEntries([...texts].map(([file, bytes]) => [file, { content: bytes.toString('utf8') }])),
    settings: { outputSelection: { '*': { '': ['ast'] } } },
  });
  const shim = path.join(root, 'test', 'chain', 'solc.cjs');
  const { stdout, stderr } = spawnSync(process.execPath, [shim, '--standard-json'], {
    input,
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  const output = JSON.parse(stdout.slice(stdout.indexOf('{'))) as {
    errors?: readonly { severity: string; formattedMessage: string }[];
    sources: Readonly<Record<string, { ast: Node }>>;
  };
  const wrong = output.errors?.filter(({ severity }) => severity === 'error') ?? [];
  if (wrong.length > 0) throw new Error(`${wrong.map(({ formattedMessage }) => formattedMessage).join('\n')}${stderr}`);
  return files.map((file) => ({ file, bytes: texts.get(file)!, tree: output.sources[file]!.ast }));
}

function readWithImports(root: string, file: string, into: Map<string, Buffer>): void {
  if (into.has(file)) return;
  const at = file.startsWith('@') ? path.join(root, 'node_modules', file) : path.join(root, file);
  const bytes = readFileSync(at);
  into.set(file, bytes);
  for (const [, named] of bytes.toString('utf8').matchAll(/^(?:import|\}).*?"([^"]+\.sol)";/gm)) {
    readWithImports(root, named!.startsWith('.') ? path.posix.join(path.posix.dirname(file), named!) : named!, into);
  }
}

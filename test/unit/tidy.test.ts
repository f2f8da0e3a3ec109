/** The rules of DESIGN §3 and STYLE §2 that a machine can check: who imports whom, where time and randomness come from, sizes. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LINES_MAX = 320;

interface Source {
  readonly file: string;
  readonly text: string;
  /** Without comments and string contents, so that words in prose are not taken for code. */
  readonly code: string;
  readonly imports: readonly string[];
}

function tracked(): string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return listed.split('\n').filter((file) => /^(gateway|provider|contracts|test)\/.*\.ts$|^main\.ts$/.test(file));
}

function read(file: string): Source | null {
  let text: string;
  try {
    text = readFileSync(path.join(ROOT, file), 'utf8');
  } catch {
    return null;
  }
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]!);
  const code = text
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/(^|\s)\/\/.*$/gm, '')
    .replaceAll(/'(?:[^'\\\n]|\\.)*'/g, "''");
  return { file, text, code, imports: specifiers.map((specifier) => resolved(file, specifier)) };
}

/** Project files as paths from the root, packages as they are named. */
function resolved(file: string, specifier: string): string {
  if (specifier.startsWith('#protocol/')) return `contracts/protocol/${specifier.slice(10)}.ts`;
  return specifier.startsWith('.') ? path.posix.join(path.posix.dirname(file), specifier) : specifier;
}

const sources = tracked().flatMap((file) => read(file) ?? []);
const production = sources.filter(({ file }) => !file.startsWith('test/'));

function under(folder: string): Source[] {
  return sources.filter(({ file }) => file.startsWith(`${folder}/`));
}

function offenders(from: readonly Source[], isWrong: (source: Source) => boolean): string[] {
  return from.filter(isWrong).map(({ file }) => file);
}

test('there are sources to look at', () => {
  expect(production.length).toBeGreaterThan(100);
});

describe('who imports whom', () => {
  test('gateway and provider never import each other', () => {
    const wrong = (folder: string, other: string) =>
      offenders(under(folder), ({ imports }) => imports.some((name) => name.startsWith(`${other}/`)));
    expect([...wrong('gateway', 'provider'), ...wrong('provider', 'gateway')]).toEqual([]);
  });

  test('production code never imports tests', () => {
    expect(offenders(production, ({ imports }) => imports.some((name) => name.startsWith('test/')))).toEqual([]);
  });

  test('the protocol imports no Node, server, database or network code, and nothing from the servers', () => {
    const allowed =
      /^(zod|structured-headers|lossless-json|secp256k1|@huggingface\/(jinja|tokenizers)|@noble\/(hashes|curves)(\/.*)?)$/;
    const wrong = under('contracts/protocol').flatMap(({ file, imports }) =>
      imports
        .filter((name) => !name.startsWith('contracts/protocol/') && !allowed.test(name))
        .map((name) => `${file}: ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  test('the verifier and all that it imports run in a browser', () => {
    const byFile = new Map(sources.map((source) => [source.file, source]));
    const seen = new Set<string>();
    const visit = (file: string) => {
      if (seen.has(file)) return;
      seen.add(file);
      for (const name of byFile.get(file)?.imports ?? []) visit(name);
    };
    for (const entry of ['verify', 'client']) visit(`contracts/protocol/${entry}.ts`);
    expect([...seen].filter((name) => name.startsWith('node:') || name === 'secp256k1')).toEqual([]);
    expect(seen.size).toBeGreaterThan(20);
  });

  test('pure cores import only the protocol and each other', () => {
    const cores = ['gateway/judge', 'gateway/ledger'];
    const pure = (name: string) =>
      name.startsWith('contracts/protocol/') || cores.some((core) => name.startsWith(`${core}/`));
    const wrong = cores.flatMap((core) => offenders(under(core), ({ imports }) => !imports.every(pure)));
    expect(wrong).toEqual([]);
  });

  test('SQL lives in the stores alone', () => {
    const stores = /^(gateway|provider)\/store\/|^gateway\/cli\/|^drizzle/;
    const wrong = offenders(
      production,
      ({ file, imports }) => imports.some((name) => name.startsWith('drizzle-orm')) && !stores.test(file),
    );
    expect(wrong).toEqual([]);
  });

  test('no import goes in a circle', () => {
    expect(circles(production)).toEqual([]);
  });
});

/** Import cycles, each as a path; type-only imports count, because they tie files together all the same. */
function circles(from: readonly Source[]): string[] {
  const graph = new Map(from.map(({ file, text }) => [file, valueImports(file, text)]));
  const done = new Set<string>();
  const found: string[] = [];
  const walk = (file: string, trail: readonly string[]) => {
    const at = trail.indexOf(file);
    if (at >= 0) found.push([...trail.slice(at), file].join(' -> '));
    if (at >= 0 || done.has(file)) return;
    for (const next of graph.get(file) ?? []) walk(next, [...trail, file]);
    done.add(file);
  };
  for (const file of graph.keys()) walk(file, []);
  return found;
}

function valueImports(file: string, text: string): string[] {
  return [...text.matchAll(/^(?:import|export) (?!type )[^;]*?from '([^']+)'/gm)].map((match) =>
    resolved(file, match[1]!),
  );
}

describe('where time, randomness and configuration come from', () => {
  const roots = /(^|\/)main\.ts$/;

  test('only main.ts files read the environment', () => {
    expect(offenders(production, ({ file, code }) => !roots.test(file) && /process\.env\b/.test(code))).toEqual([]);
  });

  test('only main.ts files ask the system for the time or for a timer', () => {
    const wrong = /\b(Date\.now|performance\.now|setTimeout|setInterval)\s*\(|new Date\(\)/;
    expect(offenders(production, ({ file, code }) => !roots.test(file) && wrong.test(code))).toEqual([]);
  });

  test('what comes over the wire is parsed by the one safeParse that never throws', () => {
    const own = 'contracts/protocol/schema.ts';
    expect(offenders(production, ({ file, code }) => file !== own && /\.safeParse\(/.test(code))).toEqual([]);
  });

  test('nothing uses Math.random', () => {
    expect(offenders(sources, ({ file, code }) => !file.endsWith('tidy.test.ts') && /Math\.random/.test(code))).toEqual(
      [],
    );
  });
});

describe('style', () => {
  test('files have one idea and at most 320 lines', () => {
    expect(offenders(sources, ({ text }) => text.split('\n').length > LINES_MAX + 1)).toEqual([]);
  });

  test('every production file begins with what it is for', () => {
    expect(offenders(production, ({ text }) => !/^(#!.*\n)?\/\*\*/.test(text))).toEqual([]);
  });

  test('there is no any, no ignored check and no default export', () => {
    const wrong = /:\s*any\b|\bas any\b|<any>|export default/;
    expect(offenders(sources, ({ file, code }) => !file.endsWith('tidy.test.ts') && wrong.test(code))).toEqual([]);
    const ignored = /@ts-(ignore|nocheck)|biome-ignore|eslint-disable/;
    expect(offenders(sources, ({ file, text }) => !file.endsWith('tidy.test.ts') && ignored.test(text))).toEqual([]);
  });

  test('names are kebab-case, and no file is a drawer', () => {
    const base = (file: string) => path.posix.basename(file);
    expect(offenders(sources, ({ file }) => !/^[a-z0-9-]+(\.test)?\.ts$/.test(base(file)))).toEqual([]);
    expect(offenders(sources, ({ file }) => /^(utils?|helpers?|misc|common|index)\.ts$/.test(base(file)))).toEqual([]);
  });

  test('tests neither sleep nor are they skipped', () => {
    const wrong = /\b(it|test|describe)\.(skip|only|todo)\b/;
    expect(offenders(under('test'), ({ file, code }) => !file.endsWith('tidy.test.ts') && wrong.test(code))).toEqual(
      [],
    );
  });
});

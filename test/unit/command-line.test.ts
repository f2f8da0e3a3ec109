/** Argument lists and effective configurations: nothing is guessed, everything wrong is said at once. */
import { describe, expect, it } from 'vitest';
import { type Program, parseCommandLine, startOf } from '#protocol/command-line';
import { integer, listOf, word } from '#protocol/settings';

const SHAPE = { valued: ['port', 'config'], switches: ['help', 'cheat'] };
const parse = (line: string, wordsMax = 0) =>
  parseCommandLine(line === '' ? [] : line.split(' '), { ...SHAPE, wordsMax });

describe('parseCommandLine', () => {
  it('reads values in both forms, switches and words', () => {
    const line = parse('a --port 1 --config=b=c --cheat -h', 1);
    expect(Object.fromEntries(line.values)).toEqual({ port: '1', config: 'b=c' });
    expect([...line.switches]).toEqual(['cheat', 'help']);
    expect(line.words).toEqual(['a']);
    expect(line.problems).toEqual([]);
  });

  it.each([
    ['--prot 1', ['--prot is not a known flag', '"1" is not expected here']],
    ['-p', ['-p is not a known flag']],
    ['--', []],
    ['-- --port', ['"--port" is not expected here']],
    ['--port', ['--port needs a value']],
    ['--port --cheat', ['--port needs a value']],
    ['--port=', []],
    ['--port 1 --port 2', ['--port is given twice']],
    ['--cheat=yes', ['--cheat takes no value']],
    ['stray', ['"stray" is not expected here']],
    ['-', ['"-" is not expected here']],
  ])('says what is wrong with %j', (text, problems) => {
    expect(parse(text).problems).toEqual(problems);
  });

  it('takes a negative number as a value', () => {
    expect(parse('--port -1').values.get('port')).toBe('-1');
  });

  it('gives inherited names of objects no meaning', () => {
    expect(parse('--constructor --__proto__').problems).toHaveLength(2);
  });
});

interface Config {
  readonly port: number;
  readonly peers: readonly string[];
  readonly secret: string | null;
}
const PROGRAM: Program<Config> = {
  name: 'assay test',
  usage: 'usage',
  envPrefix: 'T_',
  settings: {
    port: { env: 'T_PORT', help: 'port', fallback: 1, parse: integer(0, 9) },
    peers: { env: 'T_PEERS', help: 'peers', parse: listOf(word(8)) },
    secret: { env: 'T_SECRET', help: 'secret', fallback: null, parse: word(8), envOnly: true },
  },
  switches: ['fast'],
  redact: (config) => ({ ...config, secret: config.secret && '[redacted]' }),
};
const start = (line: string, env: Record<string, string> = {}, file = '{}') =>
  startOf(PROGRAM, { argv: line === '' ? [] : line.split(' '), env, readText: () => file });

describe('startOf', () => {
  it('runs with flags before variables before the file, which has numbers and lists', () => {
    const file = '{"port":3,"peers":["a","b"]}';
    expect(start('--config f --port 1 --fast', { T_PORT: '2', OTHER: 'x' }, file)).toMatchObject({
      kind: 'run',
      config: { port: 1, peers: ['a', 'b'], secret: null },
      switches: new Set(['fast']),
    });
    expect(start('--config f', { T_PORT: '2' }, file)).toMatchObject({ config: { port: 2 } });
    expect(start('--config f', {}, file)).toMatchObject({ config: { port: 3 } });
  });

  it('prints help whatever else is wrong', () => {
    expect(start('--nonsense --help')).toEqual({ kind: 'exit', code: 0, out: 'usage', err: '' });
  });

  it('prints the effective configuration without its secrets', () => {
    const printed = start('--peers a --print-config', { T_SECRET: 'hush' });
    expect(printed).toMatchObject({ kind: 'exit', code: 0, err: '' });
    expect(JSON.parse(printed.kind === 'exit' ? printed.out : '')).toEqual({
      port: 1,
      peers: ['a'],
      secret: '[redacted]',
    });
  });

  it('reports every problem at once with exit code 2, and takes secrets from the environment alone', () => {
    const result = start('--secret x --port ten', { T_PROT: '1' }, '{}');
    expect(result).toMatchObject({ kind: 'exit', code: 2, out: '' });
    expect(result.kind === 'exit' ? result.err.trim().split('\n') : []).toEqual([
      'assay test: --secret is not a known flag',
      'assay test: "x" is not expected here',
      'assay test: T_PROT is not a known variable',
      'assay test: --port must be an integer from 0 to 9',
      'assay test: --peers (or T_PEERS) is required',
    ]);
    expect(start('--config f --peers a', {}, '{"secret":"x"}')).toMatchObject({ code: 2 });
  });

  it.each(['', '[]', 'null', '1', '{'])('refuses the file %j', (text) => {
    expect(start('--config f --peers a', {}, text)).toEqual({
      kind: 'exit',
      code: 2,
      out: '',
      err: 'assay test: --config cannot be read as a JSON object\n',
    });
  });

  it('refuses a file that cannot be read', () => {
    const readText = () => {
      throw new Error('ENOENT');
    };
    expect(startOf(PROGRAM, { argv: ['--config', 'f', '--peers=a'], env: {}, readText })).toMatchObject({ code: 2 });
  });
});

/** Settings and argument lists of any kind: nothing is lost, nothing is guessed, and the nearer source wins. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseCommandLine } from '#protocol/command-line';
import { integer, parseSettings, type Settings, word } from '#protocol/settings';

const SHAPE = { valued: ['port', 'model-folder'], switches: ['cheat', 'help'], wordsMax: 1_000 };
const someWord = fc.oneof(
  fc.constantFrom(
    '--port',
    '--port=5',
    '--model-folder',
    '--cheat',
    '--cheat=1',
    '-h',
    '--',
    '-',
    '',
    '--constructor',
    '=',
    '--=',
  ),
  fc.string({ maxLength: 8 }),
);

test('every word of an argument list is a value, a switch, a word, or a problem', () => {
  const property = fc.property(fc.array(someWord, { maxLength: 12 }), (argv) => {
    const { values, switches, words, problems } = parseCommandLine(argv, SHAPE);
    for (const name of values.keys()) expect(SHAPE.valued).toContain(name);
    for (const name of switches) expect(SHAPE.switches).toContain(name);
    const end = argv.indexOf('--');
    if (end >= 0) expect(words.slice(words.length - (argv.length - end - 1))).toEqual(argv.slice(end + 1));
    // In their order, none twice, none made up.
    let from = 0;
    for (const text of words) {
      from = argv.indexOf(text, from) + 1;
      expect(from).toBeGreaterThan(0);
    }
    const flags = argv.slice(0, end < 0 ? argv.length : end).filter((text) => text.startsWith('-') && text !== '-');
    if (flags.length > 0) expect(values.size + switches.size + problems.length).toBeGreaterThan(0);
  });
  fc.assert(property, { seed: 61, numRuns: 1000 });
});

test('what is written out as flags is read back as it was', () => {
  const value = fc.string({ maxLength: 20 }).filter((text) => !text.startsWith('--'));
  const line = fc.record({
    port: value,
    folder: value,
    cheat: fc.boolean(),
    words: fc.array(fc.string(), { maxLength: 4 }),
  });
  const property = fc.property(line, fc.boolean(), ({ port, folder, cheat, words }, attached) => {
    const flag = (name: string, text: string) => (attached ? [`--${name}=${text}`] : [`--${name}`, text]);
    const argv = [
      ...flag('port', port),
      ...flag('model-folder', folder),
      ...(cheat ? ['--cheat'] : []),
      '--',
      ...words,
    ];
    const read = parseCommandLine(argv, SHAPE);
    expect(Object.fromEntries(read.values)).toEqual({ port, 'model-folder': folder });
    expect([...read.switches]).toEqual(cheat ? ['cheat'] : []);
    expect(read.words).toEqual(words);
    expect(read.problems).toEqual([]);
  });
  fc.assert(property, { seed: 62, numRuns: 500 });
});

interface Config {
  readonly port: number;
  readonly modelFolder: string;
}

const SETTINGS: Settings<Config> = {
  port: { env: 'X_PORT', help: 'port', fallback: 80, parse: integer(1, 65_535) },
  modelFolder: { env: 'X_MODEL_FOLDER', help: 'folder', parse: word(64) },
};

test('a flag goes before a variable before the file before the default, and every wrong value is named by its source', () => {
  const port = fc.option(
    fc.oneof(fc.integer({ min: 1, max: 65_535 }).map(String), fc.constantFrom('0', 'x', '', '70000', '1.5')),
  );
  const property = fc.property(port, port, port, (flag, variable, inFile) => {
    const given = (value: string | null, name: string) => (value === null ? {} : { [name]: value });
    const read = parseSettings(SETTINGS, 'X_', {
      flags: { modelFolder: 'm', ...given(flag, 'port') },
      env: given(variable, 'X_PORT'),
      file: given(inFile, 'port'),
    });
    const nearest = flag ?? variable ?? inFile ?? '80';
    const isPort = /^\d+$/.test(nearest) && Number(nearest) >= 1 && Number(nearest) <= 65_535;
    expect(read.ok).toBe(isPort);
    if (read.ok) expect(read.config).toEqual({ port: Number(nearest), modelFolder: 'm' });
    else expect(read.problems).toHaveLength(1);
  });
  fc.assert(property, { seed: 63, numRuns: 500 });
});

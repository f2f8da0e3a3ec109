/** `npm run bench:said`: after a new record. Writes the page of detection, and prints what documents have to say and do not yet. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from '../contract/program.ts';
import { allSaid, detectPage } from './said.ts';

const unbroken = (text: string) => text.replace(/\s+/g, ' ');

const { file: pageFile, text: pageText } = detectPage();
writeFileSync(path.join(ROOT, pageFile), pageText);
for (const { file, text } of allSaid()) {
  if (unbroken(readFileSync(path.join(ROOT, file), 'utf8')).includes(unbroken(text))) continue;
  process.stdout.write(`${file} lacks:\n${text}\n\n`);
}

/** The records that documents are made of. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type Calibration, parseCalibration } from '#protocol/calibration';
import { ROOT } from '../contract/program.ts';

const RESULTS = path.join(ROOT, 'test/bench/results');
const CALIBRATIONS = path.join(ROOT, 'provider/models/minnow/dist/minnow-5m/calibration');

/** The newest record of a bench by the date in its name. @param kind such as `detect` @returns its name without `.json`, and what it holds */
export function newestRecord<T>(kind: string): { readonly name: string; readonly record: T } {
  const pattern = new RegExp(`^${kind}-\\d{4}-\\d{2}-\\d{2}\\.json$`);
  const file = lastOf(RESULTS, (name) => pattern.test(name));
  const record = JSON.parse(readFileSync(path.join(RESULTS, file), 'utf8')) as T;
  return { name: file.replace(/\.json$/, ''), record };
}

/** The calibration in force: the last by name. */
export function shippedCalibration(): Calibration {
  const file = lastOf(CALIBRATIONS, (name) => name.endsWith('.json'));
  return parseCalibration(JSON.parse(readFileSync(path.join(CALIBRATIONS, file), 'utf8')))!;
}

function lastOf(folder: string, isWanted: (name: string) => boolean): string {
  const last = readdirSync(folder).filter(isWanted).sort().at(-1);
  if (last === undefined) throw new Error(`${folder} has no such file`);
  return last;
}

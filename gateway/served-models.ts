/** The models that a gateway serves, by id and by what judges them. */
import type { Calibration } from '#protocol/calibration';
import type { Hash } from '#protocol/hash';
import type { ModelEntry, ModelRegistry } from './openai/answer.ts';

/** In the order given. */
export function modelRegistry(models: readonly ModelEntry[]): ModelRegistry {
  return { list: () => models, find: (id: string) => models.find((model) => model.id === id) ?? null };
}

/** Of any of them, by its hash. */
export function calibrationIn(models: readonly ModelEntry[], hash: Hash): Calibration | null {
  return models.flatMap(({ calibrations }) => calibrations).find((known) => known.hash === hash)?.calibration ?? null;
}

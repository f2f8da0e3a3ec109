/** A model's folder as a gateway serves it: its text side, its calibrations and its price. */
import path from 'node:path';
import { readModel } from '#protocol/model-folder';
import { createTextModel } from '#protocol/text';
import type { ModelPrice } from './ledger/price.ts';
import { folderReader, readCalibrations } from './model-reader.ts';
import type { ModelEntry } from './openai/answer.ts';

/** @throws {Error} where a file is missing, or cannot be read */
export async function loadModel(folder: string, price: ModelPrice): Promise<ModelEntry> {
  const reader = folderReader(folder);
  const model = await readModel(reader);
  const text = createTextModel(model.textFiles);
  return {
    id: path.basename(path.resolve(folder)),
    digest: model.modelDigest,
    created: 0,
    ownedBy: 'assay',
    contextMax: text.contextMax,
    text,
    calibrations: await readCalibrations(reader, model.modelDigest),
    price: { inputNanoPerMtok: price.inputNanoPerMtok, outputNanoPerMtok: price.outputNanoPerMtok },
  };
}

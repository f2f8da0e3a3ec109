/**
 * Makes a decoder graph give what one run adds to the key-value cache, beside the whole cache.
 *
 * Exporters join old and new entries by `Concat(past, new) -> present`. A caller that keeps the cache itself needs `new`
 * alone: fetching `present` would copy everything there is at every token. ONNX's messages: onnx.proto of ONNX 1.17.
 */

import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { messages } from './messages.ts';

/** Field numbers of ModelProto, GraphProto, NodeProto, TensorProto and ValueInfoProto. */
const MODEL_GRAPH = 7;
const GRAPH_NODE = 1;
const GRAPH_INITIALIZER = 5;
const GRAPH_OUTPUT = 12;
const NODE_INPUT = 1;
const NODE_OUTPUT = 2;
const NODE_OP_TYPE = 4;
const TENSOR_DATA_LOCATION = 14;
const VALUE_NAME = 1;
/** Axis and order of Concat need no look: a cache that grows elsewhere fails the probe of `cacheRuns`. */
const JOIN = 'Concat';

/** A model whose new cache entries can be fetched. */
export interface ExposedModel {
  readonly model: Uint8Array;
  /** Cache output, such as `present.0.key`, to the output that holds only what the run has added. */
  readonly added: ReadonlyMap<string, string>;
}

/**
 * Appends the new entries of every cache to the graph's outputs; nothing else changes.
 * @param model a serialised ModelProto.
 * @returns null where the graph joins its caches otherwise (fused attention), or keeps weights in other files, which
 *   cannot be found from memory.
 * @throws Error where the bytes are not a protobuf message.
 */
export function exposeAddedCache(model: Uint8Array): ExposedModel | null {
  const joins: { past: string; added: string; present: string }[] = [];
  for (const graph of messages(model, MODEL_GRAPH)) {
    for (const tensor of messages(graph, GRAPH_INITIALIZER)) if (isExternal(tensor)) return null;
    for (const node of messages(graph, GRAPH_NODE)) {
      const join = joinOf(node);
      if (join !== null) joins.push(join);
    }
  }
  const cacheJoins = joins.filter(({ past, present }) => past.startsWith('past') && present.startsWith('present'));
  if (cacheJoins.length === 0) return null;
  const added = new Map(cacheJoins.map((join) => [join.present, join.added]));
  return { model: withOutputs(model, [...new Set(added.values())]), added };
}

function joinOf(node: Uint8Array): { past: string; added: string; present: string } | null {
  const reader = new BinaryReader(node);
  const [inputs, outputs]: [string[], string[]] = [[], []];
  let op = '';
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === NODE_INPUT) inputs.push(reader.string());
    else if (field === NODE_OUTPUT) outputs.push(reader.string());
    else if (field === NODE_OP_TYPE) op = reader.string();
    else reader.skip(type, field);
  }
  const [past, added] = inputs;
  const [present] = outputs;
  if (op !== JOIN || inputs.length !== 2 || past === undefined || added === undefined || present === undefined) {
    return null;
  }
  return { past, added, present };
}

function isExternal(tensor: Uint8Array): boolean {
  const reader = new BinaryReader(tensor);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === TENSOR_DATA_LOCATION) return reader.int32() !== 0;
    reader.skip(type, field);
  }
  return false;
}

/** A protobuf message that occurs twice is merged, its lists joined: what is added can simply follow the file. */
function withOutputs(model: Uint8Array, names: readonly string[]): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(MODEL_GRAPH, WireType.LengthDelimited).fork();
  for (const name of names) {
    writer.tag(GRAPH_OUTPUT, WireType.LengthDelimited).fork();
    writer.tag(VALUE_NAME, WireType.LengthDelimited).string(name);
    writer.join();
  }
  writer.join();
  const tail = writer.finish();
  const extended = new Uint8Array(model.length + tail.length);
  extended.set(model);
  extended.set(tail, model.length);
  return extended;
}

/** Reads protobuf messages out of serialised ONNX models, without a schema. Pure. */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** Occurrences of a field that holds a message. */
export function* messages(bytes: Uint8Array, wanted: number): Generator<Uint8Array> {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === wanted && type === WireType.LengthDelimited) yield reader.bytes();
    else reader.skip(type, field);
  }
}

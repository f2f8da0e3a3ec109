/** OpenAI's own schemas as validators; they lie beside the checkout and are no part of it. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';

/** Where the schemas are looked for. */
export const SCHEMAS_FILE = fileURLToPath(new URL('../../../shared/conformance/openai-openapi.json', import.meta.url));
export const NO_SCHEMAS =
  'the official schemas are not beside the checkout (../shared/conformance): nothing is validated';

const DOCUMENT_ID = 'openai';

type Json = Readonly<Record<string, unknown>>;

export interface OfficialSchemas {
  /** What the schema says against a value, one line; null where it fits. @throws {Error} for an unknown name */
  problemOf(name: string, value: unknown): string | null;
  /** The properties of an object schema, those of its `allOf` and `$ref` parts included. */
  propertiesOf(name: string): ReadonlyMap<string, Json>;
}

let loaded: OfficialSchemas | null | undefined;

/** The schemas, read once; null where they are not there. */
export function officialSchemas(): OfficialSchemas | null {
  loaded ??= existsSync(SCHEMAS_FILE) ? compile(JSON.parse(readFileSync(SCHEMAS_FILE, 'utf8')) as Json) : null;
  return loaded;
}

function compile(document: Json): OfficialSchemas {
  const schemas = (document.components as { schemas: Record<string, Json> }).schemas;
  // Formats such as `unixtime` are OpenAI's own, and the document has keywords of code generators.
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: DOCUMENT_ID, components: rewritten(document.components) as object });
  const propertiesOf = (schema: Json): [string, Json][] => {
    if (typeof schema.$ref === 'string') return propertiesOf(schemas[schema.$ref.split('/').at(-1)!]!);
    const parts = ((schema.allOf as Json[] | undefined) ?? []).flatMap(propertiesOf);
    return [...parts, ...Object.entries((schema.properties ?? {}) as Record<string, Json>)];
  };
  return {
    problemOf(name, value) {
      if (!(name in schemas)) throw new Error(`there is no schema ${name}`);
      const validate = ajv.getSchema(`${DOCUMENT_ID}#/components/schemas/${name}`)!;
      return validate(value) ? null : `${name}: ${ajv.errorsText(validate.errors)}`;
    },
    propertiesOf: (name) => new Map(propertiesOf(schemas[name]!)),
  };
}

/** From OpenAPI's 3.0 idioms to JSON Schema 2020-12: `nullable` becomes a choice with null, `discriminator` goes. */
function rewritten(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(rewritten);
  if (typeof value !== 'object' || value === null) return value;
  const { nullable, discriminator: _, ...rest } = value as Record<string, unknown>;
  const schema = Object.fromEntries(Object.entries(rest).map(([key, part]) => [key, rewritten(part)]));
  // A property that happens to be called so is a schema itself, never `true`.
  if (nullable === true) return { anyOf: [schema, { type: 'null' }] };
  return nullable === undefined ? schema : { ...schema, nullable: rewritten(nullable) };
}

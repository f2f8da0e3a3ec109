/** Packages that only some engines need: they are loaded when asked for, and their absence is said in plain words. */
import { EngineError } from './engine.ts';

/** How a package is installed without scripts and without files for GPUs; the versions are those that were tested. */
export const OPTIONAL_PACKAGES = {
  'onnxruntime-web': 'npm install onnxruntime-web@1.30.0',
  'node-llama-cpp':
    'npm install --ignore-scripts --omit=optional node-llama-cpp@3.22.1 @node-llama-cpp/<platform>@3.22.1',
} as const;
export type OptionalPackage = keyof typeof OPTIONAL_PACKAGES;

/**
 * @param load imports the package
 * @throws EngineError `engine_missing` where it is not installed, with the command that installs it
 */
export async function importOptional<T>(name: OptionalPackage, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    if (!isAbsent(cause, name)) throw cause;
    throw new EngineError('engine_missing', `${name} is not installed: ${OPTIONAL_PACKAGES[name]}`, { cause });
  }
}

/** A package that is there but lacks one of its own parts is broken, not absent. */
function isAbsent(error: unknown, name: string): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    error.code === 'ERR_MODULE_NOT_FOUND' &&
    error.message.includes(`'${name}'`)
  );
}

import { getAsset, getAssetKeys, getRawAsset } from 'node:sea';
import { Script } from 'node:vm';
import { wrapped } from './wrapped.ts';

interface Module {
  exports: unknown;
}

/** A file of CommonJS, as a function. */
type Chunk = (module: Module, exports: unknown, require: (name: string) => unknown) => void;

/** Name of the first one, and those that it cannot start without; put before this code by the build. */
declare const ENTRY: string;
declare const CHUNKS: Readonly<Record<string, Chunk>>;

const loaded = new Map<string, Module>();

/** Chunks name each other as `./name`; whatever else they ask for is Node's. */
function load(name: string): unknown {
  if (!name.startsWith('./')) return builtin(name);
  const known = loaded.get(name);
  if (known !== undefined) return known.exports;
  const module: Module = { exports: {} };
  loaded.set(name, module);
  const chunk = CHUNKS[name] ?? compile(name);
  chunk(module, module.exports, load);
  return module.exports;
}

function builtin(name: string): unknown {
  const found = process.getBuiltinModule(name);
  if (found === undefined) throw new Error(`the executable has no module ${name}`);
  return found;
}

/** Of what the executable carries, and V8 has not read until now; what it had prepared of it comes beside it. */
function compile(name: string): Chunk {
  const code = getAsset(name, 'utf8');
  const prepared = `${name}.cache`;
  const cachedData = getAssetKeys().includes(prepared) ? new Uint8Array(getRawAsset(prepared)) : undefined;
  const options = { filename: name, ...(cachedData === undefined ? {} : { cachedData }) };
  return new Script(wrapped(code), options).runInThisContext();
}

load(ENTRY);

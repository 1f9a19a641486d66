import { createRequire } from 'node:module';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '../csi/proto');

/** What the driver answers; everything else is «unimplemented» by itself. */
const methods: Readonly<Record<string, readonly string[]>> = {
  'csi.v1.Identity': ['GetPluginInfo', 'GetPluginCapabilities', 'Probe'],
  'csi.v1.Node': ['NodePublishVolume', 'NodeUnpublishVolume', 'NodeGetCapabilities', 'NodeGetInfo'],
  'pluginregistration.Registration': ['GetInfo', 'NotifyRegistrationStatus'],
};

/** The part of protobufjs' JSON that is used here. */
interface Entry {
  readonly nested?: Readonly<Record<string, Entry>>;
  readonly methods?: Readonly<Record<string, { readonly requestType: string; readonly responseType: string }>>;
  readonly fields?: Readonly<Record<string, { readonly id: number; readonly rule?: string; readonly type: string }>>;
  readonly oneofs?: Readonly<Record<string, unknown>>;
  readonly values?: Readonly<Record<string, number>>;
}

/** Of the protocols in csi/proto/: the methods that the driver answers, and every type that those need, as JSON. */
export function csiDescriptor(): string {
  const all = parseProtocols();
  const found = new Map<string, Entry>();
  const visit = (name: string): void => {
    if (found.has(name)) return;
    const entry = entryAt(all, name);
    if (entry === undefined) throw new Error(`the protocols in ${folder} know no ${name}`);
    const kept = keptOf(name, entry);
    found.set(name, kept);
    for (const type of typesOf(kept)) visit(resolveType(all, name, type));
  };
  for (const name of Object.keys(methods)) visit(name);
  return `${JSON.stringify(asTree(found), null, 2)}\n`;
}

function parseProtocols(): Entry {
  const require = createRequire(import.meta.url);
  const loader = require.resolve('@grpc/proto-loader');
  // It makes the protocols of google/protobuf/ known, and brings protobufjs in the version that reads the outcome.
  require(loader);
  const { Root } = createRequire(loader)('protobufjs');
  const root = new Root();
  root.loadSync([join(folder, 'csi.proto'), join(folder, 'pluginregistration.proto')], { keepCase: true });
  return root.resolveAll().toJSON();
}

/** Without options: they say nothing about the wire. Types within are entries of their own. */
function keptOf(name: string, entry: Entry): Entry {
  const kept = methods[name];
  if (kept !== undefined) {
    const one = (method: string) => {
      const found = entry.methods?.[method];
      if (found === undefined) throw new Error(`${name} has no ${method}`);
      return [method, { requestType: found.requestType, responseType: found.responseType }] as const;
    };
    return { methods: Object.fromEntries(kept.map(one)) };
  }
  if (entry.values !== undefined) return { values: entry.values };
  const fields = Object.entries(entry.fields ?? {}).map(
    ([key, { options: _, ...field }]: [string, Record<string, unknown>]) => [key, field],
  );
  return { ...(entry.oneofs !== undefined && { oneofs: entry.oneofs }), fields: Object.fromEntries(fields) };
}

const typesOf = ({ methods: calls = {}, fields = {} }: Entry): readonly string[] => [
  ...Object.values(calls).flatMap(({ requestType, responseType }) => [requestType, responseType]),
  ...Object.values(fields)
    .map(({ type }) => type)
    .filter(
      (type) => !/^(?:double|float|u?int32|u?int64|sint32|sint64|s?fixed32|s?fixed64|bool|string|bytes)$/.test(type),
    ),
];

/** A name is looked for from the inside to the outside. */
function resolveType(all: Entry, from: string, type: string): string {
  const scopes = from.split('.');
  for (let length = scopes.length; length >= 0; length -= 1) {
    const name = [...scopes.slice(0, length), ...type.replace(/^\./, '').split('.')].join('.');
    if (entryAt(all, name) !== undefined) return name;
  }
  throw new Error(`${from} needs ${type}, which is not there`);
}

const entryAt = (all: Entry, name: string): Entry | undefined =>
  name.split('.').reduce<Entry | undefined>((entry, part) => entry?.nested?.[part], all);

function asTree(found: ReadonlyMap<string, Entry>): Entry {
  interface Tree extends Entry {
    nested?: Record<string, Tree>;
  }
  const root: Tree = {};
  for (const [name, entry] of [...found].sort(([a], [b]) => (a < b ? -1 : 1))) {
    let at = root;
    for (const part of name.split('.')) {
      at.nested ??= {};
      at.nested[part] ??= {};
      at = at.nested[part];
    }
    Object.assign(at, entry);
  }
  return root;
}

import { type ConnectorKey, parseKey } from '../connectors/address.ts';
import {
  attributeLengthMax,
  type ConfigurationWant,
  configurationWant,
  connectorsMax,
  filesMax,
  isFileName,
  namesMax,
} from '../connectors/configurations/protocol.ts';
import { parseJson } from '../platform/json.ts';
import { printable } from '../platform/printable.ts';
import { parseDuration } from './duration.ts';
import { invalidArgument } from './errors.ts';

export type Attributes = Readonly<Record<string, string>>;

/** Attributes that the kubelet adds begin with it. */
const kubelets = 'csi.storage.k8s.io/';
const configurationNameMax = 253;
const expirationMs = { min: 600_000, max: 86_400_000 };
const known = [
  'connectors',
  'connector.name',
  'connector.namespace',
  'configuration.names',
  'configuration.params',
  'token.expiration',
] as const;

/**
 * Reads a volume's attributes, as they stand in a pod of `podNamespace`.
 * @throws CsiError INVALID_ARGUMENT that names the attribute and says what to write
 */
export function readAttributes(attributes: Attributes, podNamespace: string): ConfigurationWant {
  refuseUnknown(attributes);
  checkExpiration(attributes['token.expiration']);
  return {
    connectors: readConnectors(attributes, podNamespace),
    ...readNames(attributes['configuration.names']),
    params: readParams(attributes['configuration.params']),
  };
}

function refuseUnknown(attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith(kubelets)) continue;
    if (!(known as readonly string[]).includes(name)) {
      throw invalidArgument(`volume attribute "${printable(name)}" is not known: there are ${known.join(', ')}`);
    }
    if (value.length > attributeLengthMax) {
      throw invalidArgument(`volume attribute ${name} is longer than ${attributeLengthMax} characters`);
    }
  }
}

function readConnectors(attributes: Attributes, podNamespace: string): ConnectorKey[] {
  const { connectors, 'connector.name': name, 'connector.namespace': namespace } = attributes;
  if (connectors !== undefined) {
    if (name !== undefined || namespace !== undefined) {
      throw invalidArgument('volume attributes connectors and connector.name exclude each other: keep connectors');
    }
    return readList(connectors, podNamespace);
  }
  if (name === undefined) {
    throw invalidArgument(
      'volume attribute connectors is missing: write "namespace/name", or "name" in the same namespace',
    );
  }
  const key = name.includes('/') ? undefined : parseKey(name, namespace ?? podNamespace);
  if (key !== undefined) return [key];
  const written = printable(namespace === undefined ? name : `${namespace}/${name}`);
  throw invalidArgument(`volume attributes connector.name and connector.namespace name no connector: "${written}"`);
}

function readList(text: string, podNamespace: string): ConnectorKey[] {
  const found = new Map<string, ConnectorKey>();
  for (const part of listOf(text)) {
    const key = parseKey(part, podNamespace);
    if (key === undefined) {
      throw invalidArgument(
        `volume attribute connectors: "${printable(part)}" is no connector: write "namespace/name", or "name" in the same namespace`,
      );
    }
    found.set(`${key.namespace}/${key.name}`, key);
  }
  if (found.size === 0) throw invalidArgument('volume attribute connectors is empty: name a connector');
  if (found.size > connectorsMax) throw invalidArgument(`volume attribute connectors names more than ${connectorsMax}`);
  return [...found.values()];
}

function readNames(text = ''): Pick<ConfigurationWant, 'names' | 'excluded'> {
  const parts = [...new Set(listOf(text))];
  const names = parts.filter((part) => !part.startsWith('!'));
  const excluded = parts.filter((part) => part.startsWith('!')).map((part) => part.slice(1).trim());
  const long = names.find((name) => name.length > configurationNameMax);
  if (long !== undefined) {
    throw invalidArgument(`volume attribute configuration.names: "${printable(long)}" is too long for a configuration`);
  }
  const bad = excluded.find((name) => !isFileName(name));
  if (bad !== undefined) {
    throw invalidArgument(
      `volume attribute configuration.names: "!${printable(bad)}" is no file of the volume: write "!" and a file name without a path`,
    );
  }
  if (names.length > namesMax || excluded.length > filesMax) {
    throw invalidArgument(
      `volume attribute configuration.names has more than ${namesMax} configurations or ${filesMax} files`,
    );
  }
  return { names, excluded };
}

function readParams(text = ''): ConfigurationWant['params'] {
  if (text.trim() === '') return {};
  const params = configurationWant.shape.params.safeParse(parseJson(text));
  if (params.success) return params.data;
  throw invalidArgument(
    'volume attribute configuration.params is not what it has to be: write {"configuration": {"param": "text"}} in JSON',
  );
}

function checkExpiration(text: string | undefined): void {
  if (text === undefined) return;
  const ms = parseDuration(text.trim());
  if (ms !== undefined && ms >= expirationMs.min && ms <= expirationMs.max) return;
  throw invalidArgument(
    `volume attribute token.expiration is "${printable(text)}": write a duration from 10m to 24h, as 30m or 1h30m`,
  );
}

const listOf = (text: string): readonly string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

import { normalize } from 'node:path/posix';
import { formatKey } from '../connectors/address.ts';
import type { WantedConfigurations } from './configurations.ts';
import { isObject, listOf, namesOf, type RawObject, textOf } from './raw.ts';
import { quote, type Warnings } from './warnings.ts';

const volumeName = 'oci-connector-config';
const csiDriver = 'connectors-csi';
const mountRoot = '/etc/connectors';
const tokenExpiration = '30m';
/** Configurations whose file is `config.json`, which the tools look for in a directory that the environment names. */
const registryConfigurations = ['registry-config', 'docker-config'];
/** Containers times connectors, which are both in the hands of whoever writes the pod. */
const mountsMax = 1000;
const containerLists = ['containers', 'initContainers'] as const;

/**
 * The spec with one read-only volume of the client configurations, mounted in every container below /etc/connectors. A
 * volume or mount of the pod's own that is in the way stays, with a warning.
 */
export function withConfigVolume(spec: RawObject, wanted: WantedConfigurations, warnings: Warnings): RawObject {
  const volumes = withVolume(listOf(spec['volumes']), volumeOf(wanted));
  if (volumes === undefined) {
    warnings.add(`volume ${quote(volumeName)} of the pod is in the way: no client configuration is mounted`);
    return spec;
  }
  const client = clientOf(wanted);
  const lists = containerLists.map((list) => ({ list, containers: listOf(spec[list]) ?? [] }));
  const mounts = lists.reduce((sum, { containers }) => sum + containers.length, 0) * client.paths.length;
  if (mounts > mountsMax) {
    warnings.add(`no client configuration is mounted: containers times connectors would make ${mounts} mounts`);
    return spec;
  }
  const changed: Record<string, unknown> = {};
  for (const { list, containers } of lists) {
    const equipped = containers.map((container) => equip(container, client, warnings));
    if (equipped.some((container, at) => container !== containers[at])) changed[list] = equipped;
  }
  if (volumes === spec['volumes'] && Object.keys(changed).length === 0) return spec;
  return { ...spec, ...changed, volumes };
}

const attributeNames = ['configuration.names', 'connectors', 'token.expiration'] as const;

interface ConfigVolume extends RawObject {
  readonly csi: RawObject & { readonly volumeAttributes: Readonly<Record<(typeof attributeNames)[number], string>> };
}

function volumeOf({ connectors, names }: WantedConfigurations): ConfigVolume {
  const volumeAttributes = {
    'configuration.names': names.join(','),
    connectors: connectors.map(formatKey).join(','),
    'token.expiration': tokenExpiration,
  };
  return { name: volumeName, csi: { driver: csiDriver, readOnly: true, volumeAttributes } };
}

/** Adds the volume, or brings the one of an earlier pass up to date; undefined where another has its name. */
function withVolume(volumes: readonly unknown[] | undefined, volume: ConfigVolume): readonly unknown[] | undefined {
  if (volumes === undefined) return undefined;
  const at = volumes.findIndex((candidate) => isObject(candidate) && candidate['name'] === volumeName);
  if (at === -1) return [...volumes, volume];
  const present = attributesOfOurs(volumes[at]);
  if (present === undefined) return undefined;
  const { volumeAttributes } = volume.csi;
  return Object.entries(volumeAttributes).every(([key, value]) => present[key] === value)
    ? volumes
    : volumes.with(at, volume);
}

/** The attributes of a volume that has exactly the fields of those that we add; undefined for any other. */
function attributesOfOurs(volume: unknown): RawObject | undefined {
  if (!isObject(volume) || !hasExactly(volume, ['name', 'csi'])) return undefined;
  const { csi } = volume;
  if (!isObject(csi) || !hasExactly(csi, ['driver', 'readOnly', 'volumeAttributes'])) return undefined;
  const { driver, readOnly, volumeAttributes } = csi;
  if (driver !== csiDriver || readOnly !== true || !isObject(volumeAttributes)) return undefined;
  return hasExactly(volumeAttributes, attributeNames) ? volumeAttributes : undefined;
}

const hasExactly = (object: RawObject, keys: readonly string[]): boolean =>
  Object.keys(object).length === keys.length && keys.every((key) => Object.hasOwn(object, key));

interface Client {
  readonly paths: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
}

function clientOf({ connectors, names }: WantedConfigurations): Client {
  const paths = [...new Set(connectors.map((connector) => `${mountRoot}/${connector.name}`))];
  const isRegistryClient = names.some((name) => registryConfigurations.includes(name));
  const env = [
    { name: 'DOCKER_CONFIG', value: `${paths[0]}` },
    { name: 'REGISTRY_AUTH_FILE', value: `${paths[0]}/config.json` },
  ];
  return { paths, env: isRegistryClient ? env : [] };
}

/** A container with the mounts, and with the variables that it does not set itself. */
function equip(container: unknown, client: Client, warnings: Warnings): unknown {
  if (!isObject(container)) return container;
  const mounts = listOf(container['volumeMounts']);
  if (mounts === undefined) return container;
  const added: RawObject[] = [];
  let hasFirst = false;
  for (const [at, path] of client.paths.entries()) {
    const occupant = mountAt(mounts, path);
    if (occupant === 'other') {
      const name = quote(textOf(container['name']) ?? '');
      warnings.add(
        `container ${name} has a mount of its own at ${path}: the client configuration is not mounted there`,
      );
      continue;
    }
    hasFirst ||= at === 0;
    if (occupant === undefined) added.push({ name: volumeName, mountPath: path, readOnly: true });
  }
  const mounted = added.length === 0 ? container : { ...container, volumeMounts: [...mounts, ...added] };
  return hasFirst ? withEnv(mounted, client.env) : mounted;
}

/** Whose mount is at `path` or below it, however it is spelled: the runtime cleans paths as well. */
function mountAt(mounts: readonly unknown[], path: string): 'ours' | 'other' | undefined {
  let occupant: 'ours' | undefined;
  for (const mount of mounts) {
    if (!isObject(mount)) continue;
    const place = normalize(textOf(mount['mountPath']) ?? '');
    if (place !== path && !place.startsWith(`${path}/`)) continue;
    if (place !== path || mount['name'] !== volumeName) return 'other';
    occupant = 'ours';
  }
  return occupant;
}

function withEnv(container: RawObject, wanted: Client['env']): RawObject {
  const env = listOf(container['env']);
  if (env === undefined) return container;
  const present = new Set(namesOf(env));
  const missing = wanted.filter((variable) => !present.has(variable.name));
  return missing.length === 0 ? container : { ...container, env: [...env, ...missing] };
}

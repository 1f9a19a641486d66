import { type ConnectorKey, formatKey, parseKey } from '../connectors/address.ts';
import type { ConnectorCatalogue } from '../connectors/catalogue.ts';
import {
  attributeLengthMax,
  connectorsMax,
  driverName,
  filesMax,
  namesMax,
} from '../connectors/configurations/protocol.ts';
import type { WantedConfigurations } from './configurations.ts';
import { type ClientFiles, equip, filesOf, volumeName } from './container-injection.ts';
import { configurationsOf } from './declared-configurations.ts';
import { injectionsOf } from './injection.ts';
import { isObject, listOf, namesOf, type RawObject, textOf } from './raw.ts';
import { quote, type Warnings } from './warnings.ts';

const tokenExpiration = '30m';
/** Containers times mount paths, which are both in the hands of whoever writes the pod. */
const mountsMax = 1000;
const containerLists = ['containers', 'initContainers'] as const;

/**
 * The spec with one read-only volume of the client configurations, mounted in every container below /etc/connectors and
 * where the class says, with the variables that the class says. A volume, mount or variable of the pod's own that is in
 * the way stays, with a warning.
 */
export function withConfigVolume(spec: RawObject, wanted: WantedConfigurations, warnings: Warnings): RawObject {
  const volume = volumeOf(wanted);
  const long = tooLong(volume);
  if (long !== undefined) {
    const most = `${long} of its volume would have more than ${attributeLengthMax} characters`;
    warnings.add(`no client configuration is mounted: attribute ${most}`);
    return spec;
  }
  const volumes = withVolume(listOf(spec['volumes']), volume);
  if (volumes === undefined) {
    warnings.add(`volume ${quote(volumeName)} of the pod is in the way: no client configuration is mounted`);
    return spec;
  }
  const lists = containerLists.map((list) => ({ list, containers: listOf(spec[list]) ?? [] }));
  const files = filesOf(wanted);
  if (isTooMuch(files, lists.flatMap(({ containers }) => containers).length, warnings)) return spec;
  const changed: Record<string, unknown> = {};
  for (const { list, containers } of lists) {
    const equipped = containers.map((container) => equip(container, files, warnings));
    if (equipped.some((container, at) => container !== containers[at])) changed[list] = equipped;
  }
  if (volumes === spec['volumes'] && Object.keys(changed).length === 0) return spec;
  return { ...spec, ...changed, volumes };
}

/**
 * The spec with mounts and variables in those ephemeral containers that the pod did not have, by the volume that it was
 * made with: whatever annotations and images say today, the files are those.
 */
export function withEphemeralMounts(
  spec: RawObject,
  oldSpec: RawObject,
  { namespace, catalogue, warnings }: { namespace: string; catalogue: ConnectorCatalogue; warnings: Warnings },
): RawObject {
  const containers = listOf(spec['ephemeralContainers']) ?? [];
  const mounted = mountedVolume(oldSpec, namespace);
  if (containers.length === 0 || mounted === undefined) return spec;
  const { connectors, names } = mounted;
  const present = new Set(namesOf(listOf(oldSpec['ephemeralContainers']) ?? []));
  const isNew = (container: unknown) => isObject(container) && !present.has(textOf(container['name']) ?? '');
  const injections = injectionsOf(names, configurationsOf(connectors, catalogue), warnings);
  const files = filesOf({ connectors, injections });
  if (isTooMuch(files, containers.length, warnings)) return spec;
  const equipped = containers.map((container) => (isNew(container) ? equip(container, files, warnings) : container));
  return equipped.some((container, at) => container !== containers[at])
    ? { ...spec, ephemeralContainers: equipped }
    : spec;
}

function isTooMuch({ paths }: ClientFiles, containers: number, warnings: Warnings): boolean {
  const mounts = containers * paths.length;
  if (mounts <= mountsMax) return false;
  warnings.add(`no client configuration is mounted: containers times mount paths would make ${mounts} mounts`);
  return true;
}

const attributeNames = ['configuration.names', 'connectors', 'token.expiration'];
const optionalAttribute = 'configuration.params';

interface ConfigVolume extends RawObject {
  readonly csi: RawObject & { readonly volumeAttributes: Readonly<Record<string, string>> };
}

function volumeOf({ connectors, names, excluded, params }: WantedConfigurations): ConfigVolume {
  const volumeAttributes = {
    'configuration.names': [...names, ...excluded.map((file) => `!${file}`)].join(','),
    ...(Object.keys(params).length === 0 ? {} : { [optionalAttribute]: JSON.stringify(params) }),
    connectors: connectors.map(formatKey).join(','),
    'token.expiration': tokenExpiration,
  };
  return { name: volumeName, csi: { driver: driverName, readOnly: true, volumeAttributes } };
}

/** An attribute that the driver would refuse, and the pod never start. */
const tooLong = ({ csi }: ConfigVolume): string | undefined =>
  Object.entries(csi.volumeAttributes).find(([, value]) => value.length > attributeLengthMax)?.[0];

/** Adds the volume, or brings the one of an earlier pass up to date; undefined where another has its name. */
function withVolume(volumes: readonly unknown[] | undefined, volume: ConfigVolume): readonly unknown[] | undefined {
  if (volumes === undefined) return undefined;
  const at = placeOfVolume(volumes);
  if (at === -1) return [...volumes, volume];
  const present = attributesOfOurs(volumes[at]);
  if (present === undefined) return undefined;
  const wanted = Object.entries(volume.csi.volumeAttributes);
  const isCurrent =
    Object.keys(present).length === wanted.length && wanted.every(([key, value]) => present[key] === value);
  return isCurrent ? volumes : volumes.with(at, volume);
}

const placeOfVolume = (volumes: readonly unknown[]): number =>
  volumes.findIndex((candidate) => isObject(candidate) && candidate['name'] === volumeName);

/** The attributes of a volume that has exactly the fields of those that we add; undefined for any other. */
function attributesOfOurs(volume: unknown): RawObject | undefined {
  if (!isObject(volume) || !hasExactly(volume, ['name', 'csi'])) return undefined;
  const { csi } = volume;
  if (!isObject(csi) || !hasExactly(csi, ['driver', 'readOnly', 'volumeAttributes'])) return undefined;
  const { driver, readOnly, volumeAttributes } = csi;
  if (driver !== driverName || readOnly !== true || !isObject(volumeAttributes)) return undefined;
  const optional = Object.hasOwn(volumeAttributes, optionalAttribute) ? [optionalAttribute] : [];
  return hasExactly(volumeAttributes, [...attributeNames, ...optional]) ? volumeAttributes : undefined;
}

const hasExactly = (object: RawObject, keys: readonly string[]): boolean =>
  Object.keys(object).length === keys.length && keys.every((key) => Object.hasOwn(object, key));

/** What the volume of a pod holds, if it is one of ours; undefined without one. */
function mountedVolume(
  spec: RawObject,
  namespace: string,
): { readonly connectors: readonly ConnectorKey[]; readonly names: readonly string[] } | undefined {
  const volumes = listOf(spec['volumes']) ?? [];
  const attributes = attributesOfOurs(volumes[placeOfVolume(volumes)]);
  if (attributes === undefined) return undefined;
  const connectors = entriesOf(attributes['connectors'], connectorsMax).map((text) => parseKey(text, namespace));
  const names = entriesOf(attributes['configuration.names'], namesMax + filesMax);
  return {
    connectors: connectors.filter((key) => key !== undefined),
    names: names.filter((name) => !name.startsWith('!')),
  };
}

/** Each once, and no more than we write: a volume of our shape may be the work of anybody. */
const entriesOf = (value: unknown, max: number): readonly string[] => [
  ...new Set((textOf(value) ?? '').split(',', max)),
];

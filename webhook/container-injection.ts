import type { ConnectorKey } from '../connectors/address.ts';
import { type Injection, valueAt } from './injection.ts';
import { cleanPath, mountRoot, overlap } from './mount-path.ts';
import { isObject, listOf, type RawObject, textOf } from './raw.ts';
import { quote, type Warnings } from './warnings.ts';

export const volumeName = 'oci-connector-config';
/** A container with more mounts and devices than any real one is left alone: each is compared with each of ours. */
const ownMountsMax = 1000;

/** Where containers get the files of the volume, and how they are told. */
export interface ClientFiles {
  /** Clean mount paths, each once, none within another; first the folder of the first connector. */
  readonly paths: readonly string[];
  readonly injections: readonly Injection[];
}

export function filesOf({
  connectors,
  injections,
}: {
  readonly connectors: readonly ConnectorKey[];
  readonly injections: readonly Injection[];
}): ClientFiles {
  const folders = connectors.map((connector) => `${mountRoot}/${connector.name}`);
  const further = injections.map(({ mountPath }) => mountPath).filter((path) => path !== undefined);
  return { paths: [...new Set([...folders, ...further])], injections };
}

/** A container with the mounts, and with the variables that it does not set itself. */
export function equip(container: unknown, files: ClientFiles, warnings: Warnings): unknown {
  if (!isObject(container)) return container;
  const name = nameOf(container);
  const mounts = listOf(container['volumeMounts']);
  const devices = listOf(container['volumeDevices']) ?? [];
  if (mounts === undefined) return container;
  if (mounts.length + devices.length > ownMountsMax) {
    warnings.add(`container ${name} has more than ${ownMountsMax} mounts: no client configuration is mounted`);
    return container;
  }
  const places = placesOf(mounts, devices);
  const added: RawObject[] = [];
  const mounted = new Set<string>();
  for (const path of files.paths) {
    const occupant = occupantOf(places, path);
    if (occupant === 'other') {
      warnings.add(
        `container ${name} has a mount of its own at ${path}: the client configuration is not mounted there`,
      );
      continue;
    }
    if (occupant === undefined) added.push({ name: volumeName, mountPath: path, readOnly: true });
    mounted.add(path);
  }
  const equipped = added.length === 0 ? container : { ...container, volumeMounts: [...mounts, ...added] };
  const ours = [...mounted, ...places.filter(({ isOurs }) => isOurs).map(({ path }) => path)];
  return withVariables(equipped, variablesFor(files, mounted), ours, warnings);
}

const nameOf = (container: RawObject): string => quote(textOf(container['name']) ?? '');

interface Place {
  readonly path: string;
  /** Whether all files of the volume are there. */
  readonly isOurs: boolean;
}

/** Where a container has something already; what says no place is passed over. */
function placesOf(mounts: readonly unknown[], devices: readonly unknown[]): readonly Place[] {
  const places: Place[] = [];
  for (const mount of mounts) {
    if (!isObject(mount)) continue;
    const isWhole = !textOf(mount['subPath']) && !textOf(mount['subPathExpr']);
    addPlace(places, mount['mountPath'], mount['name'] === volumeName && isWhole);
  }
  for (const device of devices) if (isObject(device)) addPlace(places, device['devicePath'], false);
  return places;
}

function addPlace(places: Place[], path: unknown, isOurs: boolean): void {
  if (typeof path === 'string' && path !== '') places.push({ path: cleanPath(path), isOurs });
}

/** What is at `path`; a mount within it, or that it is within, is another: the runtime would have to write to one of them. */
function occupantOf(places: readonly Place[], path: string): 'ours' | 'other' | undefined {
  const near = places.filter((place) => overlap(place.path, path));
  if (near.length === 0) return undefined;
  return near.every((place) => place.isOurs && place.path === path) ? 'ours' : 'other';
}

interface PlacedVariable {
  readonly name: string;
  /** As the class has it. */
  readonly template: string;
  readonly value: string;
  readonly configuration: string;
}

/** A configuration's variables lead to its own mount path, or else to the first connector's; without both there are none. */
function variablesFor({ paths, injections }: ClientFiles, mounted: ReadonlySet<string>): readonly PlacedVariable[] {
  return injections.flatMap(({ configuration, mountPath, env }) => {
    const place = [mountPath, paths[0]].find((path) => path !== undefined && mounted.has(path));
    if (place === undefined) return [];
    return env.map(({ name, value }) => ({ name, template: value, value: valueAt(value, place), configuration }));
  });
}

/**
 * `env` wins over `envFrom`, whose sources may be read by nobody but the kubelet. Leaving variables out of every
 * container that has a source would be worse than a warning: sources are common, and such names in them are not.
 */
function withVariables(
  container: RawObject,
  variables: readonly PlacedVariable[],
  ours: readonly string[],
  warnings: Warnings,
): RawObject {
  const env = listOf(container['env']);
  if (env === undefined || variables.length === 0) return container;
  const name = nameOf(container);
  const present = valuesOf(env);
  const added: PlacedVariable[] = [];
  for (const variable of variables) {
    if (!present.has(variable.name)) added.push(variable);
    else if (!ours.some((path) => present.get(variable.name) === valueAt(variable.template, path))) {
      warnings.add(
        `container ${name} sets ${variable.name} itself, and keeps it: configuration ${quote(variable.configuration)} would say ${quote(variable.value)}`,
      );
    }
  }
  if (added.length === 0) return container;
  warnOfSources(container, added, warnings);
  return { ...container, env: [...env, ...added.map(({ name: variable, value }) => ({ name: variable, value }))] };
}

/** Variables by name; undefined for what is no plain text. Of two the later counts, as in the container. */
function valuesOf(env: readonly unknown[]): ReadonlyMap<string, string | undefined> {
  const values = new Map<string, string | undefined>();
  for (const variable of env) {
    const name = isObject(variable) ? textOf(variable['name']) : undefined;
    if (isObject(variable) && name !== undefined) values.set(name, textOf(variable['value']));
  }
  return values;
}

function warnOfSources(container: RawObject, added: readonly PlacedVariable[], warnings: Warnings): void {
  const sources = (listOf(container['envFrom']) ?? []).filter(isObject);
  const prefixes = new Set(sources.map((source) => textOf(source['prefix']) ?? ''));
  const names = added.map(({ name }) => name).filter((name) => [...prefixes].some((prefix) => name.startsWith(prefix)));
  if (names.length === 0) return;
  warnings.add(`container ${nameOf(container)}: ${names.join(', ')} would win over a value that comes by envFrom`);
}

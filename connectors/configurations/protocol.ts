/**
 * What the CSI driver of a node and the centre say to each other: `POST /v1/configurations` renders the files of one
 * volume, `POST /v1/configurations/revisions` tells whether any of them would change. One version of skew is allowed:
 * who reads passes over fields that it does not know.
 */
import { z } from 'zod';
import { type ConnectorKey, formatKey, isConnectorName, isNamespaceName } from '../address.ts';
import { tokenMax } from '../pull-identity.ts';

/** What the cluster calls the driver: the name of its CSIDriver, which volumes of pods are of. */
export const driverName = 'connectors-csi';

export const configurationsPath = '/v1/configurations';
export const configurationRevisionsPath = '/v1/configurations/revisions';

/** Bounds of one volume: a ConnectorClass is at most 1.5 MiB, and nobody writes that much configuration. */
export const connectorsMax = 64;
export const namesMax = 64;
export const fileMax = 262_144;
export const filesMax = 256;
export const filesTotalMax = 1_048_576;
export const wantsMax = 512;
/** Characters of one attribute of a volume: nobody needs as much, and a parameter may be in many files. */
export const attributeLengthMax = 8_192;

/** One component of a path that does not begin with "..", which is what the files' own folders begin with. */
export const isFileName = (name: string): boolean =>
  name.length <= 253 && /^(?!\.\.)[A-Za-z0-9._-]+$/.test(name) && name !== '.';

/** A connector, as agents of all kinds name it. */
export const connectorKey = z.object({
  namespace: z.string().refine(isNamespaceName),
  name: z.string().refine(isConnectorName),
});

const areDistinct = (keys: readonly ConnectorKey[]): boolean => new Set(keys.map(formatKey)).size === keys.length;

/** What a volume is to hold. Equal wants are equal JSON, if their lists are. */
export const configurationWant = z.object({
  /** The first is `.connector` of the templates. */
  connectors: z.array(connectorKey).min(1).max(connectorsMax).refine(areDistinct),
  /** Configurations by name; files of later ones replace those of earlier ones. */
  names: z.array(z.string().min(1).max(253)).max(namesMax),
  /** Files to leave out. */
  excluded: z.array(z.string().max(253)).max(filesMax),
  /** By configuration, then by parameter. */
  params: z.record(z.string(), z.record(z.string(), z.string())),
});

export const configurationQuestion = z.object({
  /** Of the pod, for the callers' audience. */
  token: z.string().max(tokenMax),
  want: configurationWant,
  /** The pod has files already: a connector that is not Ready at present keeps nobody from a fresh token. */
  isRefresh: z.boolean(),
});

export const configurationAnswer = z.object({
  files: z.array(z.object({ name: z.string(), content: z.string() })),
  /** Changes when another answer would differ in more than the token. */
  revision: z.string(),
  /** When the token in the files ends, in epoch milliseconds. */
  expiresAt: z.number(),
  /** Until then, in epoch milliseconds, the same question would get the same answer, unless the revision changes. */
  refreshAfter: z.number(),
});

export const revisionsQuestion = z.object({ wants: z.array(configurationWant).max(wantsMax) });
/** In the order of the wants; empty for one that cannot be rendered at present. */
export const revisionsAnswer = z.object({ revisions: z.array(z.string()) });

export type ConfigurationWant = z.infer<typeof configurationWant>;
export type ConfigurationQuestion = z.infer<typeof configurationQuestion>;
export type ConfigurationAnswer = z.infer<typeof configurationAnswer>;

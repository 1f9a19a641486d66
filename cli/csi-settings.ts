import { z } from 'zod';
import { type LogLevel, logLevels } from '../platform/logger.ts';
import { readFlags } from './flags.ts';
import { centreFlags, nodeDefaults } from './node-settings.ts';

/** All that `csi` is told, read once and frozen. */
export interface CsiSettings {
  /** The kubelet's folder, by the same path as the kubelet knows it. */
  readonly kubeletRoot: string;
  readonly nodeName: string;
  /** `https://host[:port]` of the centre's API for agents. */
  readonly centre: string;
  readonly centreCa: string;
  readonly token: string;
  /** A Unix socket's path. */
  readonly management: string;
  /** Within it a change of a connector shows in the files. */
  readonly refreshMs: number;
  /** How much memory the volumes of the node may take together. */
  readonly volumesBytes: number;
  readonly logLevel: LogLevel;
  readonly isPretty: boolean;
}

export const csiDefaults = {
  kubeletRoot: '/var/lib/kubelet',
  centre: nodeDefaults.centre,
  centreCa: nodeDefaults.centreCa,
  token: nodeDefaults.token,
  management: nodeDefaults.management,
  refreshSeconds: '300',
  volumesMib: '256',
  logLevel: 'info',
} as const;

const refreshRule = '--refresh-seconds is a number of seconds from 10 to 86400';
const volumesRule = '--volumes-mib is a number of MiB from 16 to 65536';
/** A domain name, which is what a node is called by. */
const nodeNameMax = 253;

const flags = z.object({
  kubeletRoot: z
    .string()
    .regex(/^\/[^\0]*[^/\0]$/, '--kubelet-root is an absolute path without a "/" at its end')
    .refine((path) => !path.split('/').includes('..'), '--kubelet-root has ".." in it'),
  nodeName: z
    .string({ error: '--node-name (or NODE_NAME) is needed: the name of this node' })
    .min(1, '--node-name (or NODE_NAME) is empty: the name of this node')
    .max(nodeNameMax, '--node-name is too long for the name of a node'),
  ...centreFlags,
  management: z.string().startsWith('/', '--management is the path of a Unix socket'),
  refreshSeconds: z
    .string()
    .regex(/^\d{1,6}$/, refreshRule)
    .transform(Number)
    .pipe(z.number().min(10, refreshRule).max(86_400, refreshRule)),
  volumesMib: z
    .string()
    .regex(/^\d{1,5}$/, volumesRule)
    .transform(Number)
    .pipe(z.number().min(16, volumesRule).max(65_536, volumesRule)),
  logLevel: z.enum(logLevels, { error: `--log-level is one of ${logLevels.join(', ')}` }),
});

/**
 * Reads flags and environment.
 * @throws UsageError
 */
export function readCsiSettings(given: unknown, environment: NodeJS.ProcessEnv, isTerminal: boolean): CsiSettings {
  const read = readFlags(flags, { nodeName: environment['NODE_NAME'], ...(given as object) });
  const { refreshSeconds, volumesMib, ...data } = read;
  return Object.freeze({
    ...data,
    refreshMs: refreshSeconds * 1_000,
    volumesBytes: volumesMib * 1_048_576,
    isPretty: isTerminal,
  });
}

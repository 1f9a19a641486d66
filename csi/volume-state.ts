import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { ConfigurationWant } from '../connectors/configurations/protocol.ts';
import { parseJson } from '../platform/json.ts';

/** Beside the files, where only root reads it. */
export const stateFile = '..state.json';

const shape = z.object({
  revision: z.string(),
  /** When the token in the files ends, in epoch milliseconds. */
  expiresAt: z.number(),
  /** Until then nobody has to be asked, in epoch milliseconds. */
  refreshAfter: z.number(),
  /** SHA-256 of the pod's token that was sent. */
  token: z.string(),
  /** SHA-256 of the want. */
  want: z.string(),
  /** Ids of `readVolumeRequest`: the group of the files; absent where there is none. */
  groupId: z.number().optional(),
});

/** What is known of a volume's files, so that nobody is asked for what is still good. It holds no token. */
export type VolumeState = z.infer<typeof shape>;

export const formatState = (state: VolumeState): string => `${JSON.stringify(state)}\n`;

/** Undefined for what another version wrote. */
export function parseState(text: string): VolumeState | undefined {
  return shape.safeParse(parseJson(text)).data;
}

export const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64url');

export const wantDigest = ({ connectors, names, excluded, params }: ConfigurationWant): string =>
  digestOf(JSON.stringify([connectors.map(({ namespace, name }) => [namespace, name]), names, excluded, params]));

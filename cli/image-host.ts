import { z } from 'zod';
import { canonicalRegistry, parseImageReference } from '../connectors/image-reference.ts';

/** `--image-host`: a registry host as images can begin with, kept as it is written. */
export const imageHost = z.string().refine(isImageHost, {
  error: ({ input }) =>
    `--image-host is "${String(input)}": write the registry host that images begin with, as localhost:7450`,
});

/** A single word without a port, `proxy`, is a host too, but before an image it would be a repository of Docker Hub. */
function isImageHost(text: string): boolean {
  if (canonicalRegistry(text) === undefined) return false;
  const parsed = parseImageReference(`${text}/repository`);
  return parsed.ok && parsed.reference.domain === text;
}

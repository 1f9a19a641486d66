import { request } from 'undici';

const timeoutMs = 3_000;

/**
 * Whether images that begin with `imageHost` reach an agent on this machine: the same name, resolved as clients do. What
 * answers may be an agent that this one takes the place of. Resolves with what is wrong, or undefined.
 */
export async function selfTest(imageHost: string): Promise<string | undefined> {
  try {
    const { statusCode, headers, body } = await request(`http://${imageHost}/v2/`, {
      signal: AbortSignal.timeout(timeoutMs),
      headers: { connection: 'close' },
    });
    await body.dump();
    const isOurs = statusCode === 401 && String(headers['www-authenticate']).includes('realm="oci-connector"');
    return isOurs ? undefined : `${imageHost} answers with ${statusCode}, and is not this agent`;
  } catch (error) {
    return `${imageHost} cannot be reached from here: ${error instanceof Error ? error.message : String(error)}`;
  }
}

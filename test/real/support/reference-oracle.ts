import { partPath } from './find-part.ts';
import { runProgram } from './program.ts';

/** What github.com/distribution/reference makes of a reference. Tag and digest are empty where there is none. */
export type OracleAnswer =
  | {
      readonly ok: true;
      readonly domain: string;
      readonly path: string;
      readonly tag: string;
      readonly digest: string;
      /** The whole reference as `ParseNormalizedNamed` has it. */
      readonly normalized: string;
      /** The short form, as `nginx` for `docker.io/library/nginx`. */
      readonly familiar: string;
      /** The whole reference as `ParseDockerRef` has it: with a default tag, and without a tag beside a digest. */
      readonly dockerRef: string;
    }
  | { readonly ok: false; readonly error: string };

/** One answer for each reference, in their order. Needs the part `reference`. Half a surrogate pair is read as U+FFFD. */
export async function askReferenceOracle(references: readonly string[]): Promise<OracleAnswer[]> {
  const input = references.map((reference) => `${JSON.stringify(reference)}\n`).join('');
  const { code, stdout, stderr } = await runProgram(partPath('reference'), [], { env: {}, input });
  if (code !== 0) throw new Error(`the reference oracle failed: ${stderr}`);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

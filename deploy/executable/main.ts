import { runCredentialProvider } from '../../cli/credential-provider.ts';

/** Of the package, put in by the build. */
declare const VERSION: string;

const usage = `oci-connector-credential-provider [--config FILE]

The kubelet calls it, with a CredentialProviderRequest on standard input.
  --config FILE  YAML or JSON; without it the environment says, as with Oracle's provider
  --version      print the version
  --help         print this
`;

const information: ReadonlyMap<string | undefined, string> = new Map([
  ['--version', `${VERSION}\n`],
  ['--help', usage],
]);

const args = process.argv.slice(2);
const text = information.get(args[0]);
if (text === undefined) void runCredentialProvider(args);
else process.stdout.write(text);

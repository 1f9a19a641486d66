import { builtinFunctions } from './functions.ts';
import type { TemplateFunction } from './signature.ts';
import { sprigFunctions } from './sprig.ts';
import { Refusal } from './template-error.ts';

/** Names of text/template and sprig that are refused, by what to say about them. */
const refused: readonly (readonly [reason: string, names: readonly string[]])[] = [
  ['reads the environment of the process: hand the value in as a parameter of the configuration', ['env', 'expandenv']],
  ['asks the network: hand the value in as a parameter of the configuration', ['getHostByName']],
  [
    'tells the time, and a configuration is the same until its connector changes',
    [
      ...['now', 'ago', 'date', 'date_in_zone', 'date_modify', 'dateInZone', 'dateModify', 'duration', 'durationRound'],
      ...['htmlDate', 'htmlDateInZone', 'must_date_modify', 'mustDateModify', 'mustToDate', 'toDate', 'unixEpoch'],
    ],
  ],
  [
    'is random, and a configuration is the same until its connector changes',
    ['randAlphaNum', 'randAlpha', 'randAscii', 'randNumeric', 'randBytes', 'randInt', 'shuffle', 'uuidv4'],
  ],
  [
    'makes keys or passwords, which belong into a Secret',
    [
      ...['bcrypt', 'htpasswd', 'genPrivateKey', 'derivePassword', 'buildCustomCert', 'genCA', 'genCAWithKey'],
      ...['genSelfSignedCert', 'genSelfSignedCertWithKey', 'genSignedCert', 'genSignedCertWithKey'],
      ...['encryptAES', 'decryptAES'],
    ],
  ],
  [
    'takes patterns, which may take any time: use hasPrefix, hasSuffix, contains, splitList or replace',
    [
      ...['regexMatch', 'regexFindAll', 'regexFind', 'regexReplaceAll', 'regexReplaceAllLiteral', 'regexSplit'],
      ...['mustRegexMatch', 'mustRegexFindAll', 'mustRegexFind', 'mustRegexReplaceAll', 'mustRegexReplaceAllLiteral'],
      ...['mustRegexSplit', 'regexQuoteMeta'],
    ],
  ],
  ['calls functions in the data, and there are none', ['call']],
  ['is not supported: write toJson for a text in JavaScript', ['js']],
  [
    'of sprig is not supported',
    [
      ...['hello', 'abbrev', 'abbrevboth', 'untitle', 'initials', 'swapcase', 'snakecase', 'camelcase', 'kebabcase'],
      ...['wrap', 'wrapWith', 'plural', 'adler32sum', 'seq', 'toDecimal', 'add1f', 'addf', 'subf', 'divf', 'mulf'],
      ...['maxf', 'minf', 'round', 'deepCopy', 'mustDeepCopy', 'typeIsLike', 'base', 'dir', 'clean', 'ext', 'isAbs'],
      ...['osBase', 'osClean', 'osDir', 'osExt', 'osIsAbs', 'b32enc', 'b32dec', 'merge', 'mergeOverwrite'],
      ...['mustMerge', 'mustMergeOverwrite', 'chunk', 'mustChunk', 'semver', 'semverCompare'],
    ],
  ],
];

const reasons: ReadonlyMap<string, string> = new Map(
  refused.flatMap(([reason, names]) => names.map((name) => [name, reason] as const)),
);

// A Map, because a record also has what every object has.
const functions: ReadonlyMap<string, TemplateFunction> = new Map(
  Object.entries({ ...builtinFunctions, ...sprigFunctions }),
);

/** The names of all functions that there are. */
export const functionNames: readonly string[] = [...functions.keys()];

/** Throws a Refusal that says why there is no function of this name. */
export function functionNamed(name: string): TemplateFunction {
  const found = functions.get(name);
  if (found !== undefined) return found;
  const reason = reasons.get(name);
  throw new Refusal(reason === undefined ? `function ${name} is not defined` : `function ${name} ${reason}`);
}

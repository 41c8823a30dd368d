/** `${NAME}` in a text stands for an environment variable, so that a key need not stand in a file; `$${` is a plain `${`. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: this is the notation itself
const NOT_A_NAME = 'a variable is written ${NAME}, with letters, digits and _; a plain ${ is written $${';

export interface Substituted {
  readonly value: string;
  /** For people; they name variables and never hold a value. */
  readonly problems: readonly string[];
}

/** @param env an unset or empty variable is a problem: an empty key would be sent, and refused far from here */
export function substituteVariables(text: string, env: NodeJS.ProcessEnv): Substituted {
  const problems: string[] = [];
  const value = text.replaceAll(
    /(\$?)\$\{(?:([A-Za-z_][A-Za-z0-9_]*)\})?/g,
    (all, doubled: string, name?: string) => {
      if (doubled !== '') return all.slice(1);
      if (name === undefined) {
        problems.push(NOT_A_NAME);
        return '';
      }
      const found = env[name];
      if (found) return found;
      const state = found === undefined ? 'not set' : 'empty';
      problems.push(
        `the environment variable ${name} is ${state}; set it where shoal is started, or write the value here`,
      );
      return '';
    },
  );
  return { value, problems };
}

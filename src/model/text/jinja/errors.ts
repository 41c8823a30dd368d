/** What a template does wrong, in Python's eyes too: jinja2 raises here as well. */
export class TemplateError extends Error {}

/** What jinja2 may do and this interpreter does not: it says so by name, and never prints something else instead. */
export class NotSupported extends TemplateError {
  constructor(what: string) {
    super(`${what} is not supported in chat templates here`);
  }
}

/** Thrown by the template itself (`raise_exception`): its message is meant for whoever wrote the conversation. */
export class TemplateRefusal extends TemplateError {}

  // whether a field is for passwords by what is written about it; how it is drawn is asked besides
  const forPasswords = (type, names, completed) => type === 'password'
    || type === 'text' && /pass(word|wd|phrase|code)|(^|[^a-z])pwd([^a-z]|$)/i.test(names)
    || /(^|\s)((current|new)-password|one-time-code)(\s|$)/i.test(completed);

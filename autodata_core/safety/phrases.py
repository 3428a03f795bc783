"""What people write when they address a model or a judge instead of a reader, by language.

How text is prepared for the search, and what a hit means, is in `instructions`.

A line of a table is a small pattern: tokens in order, `a|b` for either, `x*` for any ending, `_` for the gap between two
words, `?x` for a token that may be missing, `~3` for up to three words (in scripts without blanks: characters) between.
A gap never crosses the end of a sentence. `!` before a line: it counts only as a command, at the start of a clause.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from autodata_core.lazily import lazy
from autodata_core.safety.folding import fold

__all__ = ["addressed", "verdict_key"]

_GAP = r"[^\w.!?;]{1,4}"
_MARKS = (
    "10/10|10_/_10|100/100|10_out_of_10|ten_out_of_ten|100_out_of_100|full_marks|full_points|full_credit|full_score|"
    "perfect_score|maximum_score|maximum_marks|maximum_points|max_score|highest_score|highest_possible|highest_mark*|"
    "highest_rating|top_marks|top_score|perfect_rating|all_marks|all_points"
)
_MODEL = (
    "ai|llm|llms|language_model*|large_language_model*|chatbot*|ai_assistant*|ai_model*|ai_agent*|ai_system*|"
    "ai_grader*|ai_judge*|automated_grader*|grading_model|judge_model|chatgpt|gpt|autograder*"
)

_SPACED = (
    # English
    "ignore|ignoring|disregard|disregarding|forget|forgetting|bypass|override|overrule|overlook|neglect|discard|skip|drop|"
    "dismiss ~4 "
    "previous|previously|prior|above|earlier|preceding|foregoing|former|past|existing|original|initial|system|developer ~2 "
    "instruction*|prompt*|directive*|directions|guideline*|guardrail*|orders|commands|programming",
    "!ignore|disregard|forget|bypass|override|discard|skip ~1 all|any|every|your ~2 "
    "instruction*|rules|guideline*|constraint*|restriction*|policies|prompt*|criteria|directives|programming|messages",
    "!ignore|disregard|forget ?absolutely everything|anything|all|whatever ~4 "
    "above|before_this|previously|prior|so_far|before_now|you_were_told|been_told_before|came_before|until_now",
    "!ignore|disregard|skip ~2 rubric*|grading|scoring|marking_scheme|criteria|evaluation_criteria",
    "!stop|cease following|obeying ~2 instruction*|rules|prompt*|guidelines",
    "not|don't follow|obey|comply_with ~2 previous|original|system|your|prior ~1 instruction*|prompt*|rules|guidelines",
    f"you|you're ?are now|henceforth|hereby ~3 {_MODEL}|dan|jailbroken|unrestricted|unfiltered|uncensored|grader|evaluator|"
    "the_judge|developer_mode|god_mode|jailbreak*|helpful_assistant|virtual_assistant|assistant_that|assistant_who|"
    "assistant_with*|new_assistant|evil",
    "you ?are no_longer ~2 bound|limited|restricted|constrained ~3 rules|guideline*|polic*|restrictions|instruction*|"
    "system_prompt|openai|anthropic|google",
    "from|starting now_on|this_point_on|this_moment_on|now ~2 "
    "act|behave|respond|answer|reply|output|pretend|obey|ignore|you_are_a|you_are_an",
    f"!act|behave|pretend|roleplay|role-play ~4 {_MODEL}|dan|unrestricted|jailbroken|uncensored|no_rules|no_restrictions|"
    "no_guidelines|no_filters|without_restrictions|without_rules|without_filters",
    "reveal|print|show|display|repeat|output|leak|disclose|share|tell|dump|expose|recite|send|give|paste ~5 "
    "system_prompt*|system_instruction*|developer_prompt*|initial_prompt|hidden_prompt|secret_prompt|hidden_instructions",
    "!reveal|print|show|display|repeat|output|leak|disclose|share|tell|dump|expose|recite|send|give ~3 your ~1 "
    "initial|hidden|original|secret|internal|previous|full ~1 prompt*|instruction*|rules|configuration",
    "what is|are|were|was your ~1 system|initial|original|hidden|secret prompt*|instruction*",
    "!system_prompt:|system_override:|system_message:|system_instruction:|new_instruction:|new_instructions:|"
    "updated_instructions:|new_system_prompt|updated_system_prompt|real_instructions:|admin_override|developer_override",
    "begin|start|end|end_of new_system_prompt|system_prompt|system_message|user_input|untrusted_input|hidden_instructions",
    "attention|note|notice|message|instruction*|important|warning|hint|reminder|directive|memo|info to|for ~2 "
    "ai:|llm:|llms:|language_model*:|language_models:|chatbot:|ai_assistant:|ai_assistants:|ai_models:|assistant:|grader:|"
    "graders:|evaluator:|evaluators:|grading_model:|ai,|llms,|language_models,|ai_assistants,|the_grader,|the_ai_*|"
    "ai_models,|chatgpt|ai_judge*|the_judge:|judge_model*|ai_agents:|ai_crawlers:|any_ai|all_ai|language_models_*",
    f"if you|you're ?are ?re ?a|an|the {_MODEL}|bot|automated_system|grader|machine|robot",
    f"dear|hey|hello|hi|attention,|attention ?all {_MODEL}|grader|evaluator",
    f"{_MODEL} ~2 reading|processing|evaluating|grading|summarizing|summarising|parsing|scoring|judging|analyzing "
    "this_*|it:|it,",
    "as ~1 judge|grader|evaluator|marker|examiner|scorer|reviewer|rater|assessor ~5 "
    "mark|give|award|assign|rate|score|grade|set|accept|approve|pass|output|return|report|respond ~5 "
    f"{_MARKS}|full|maximum|top|perfect|10|all_criteria|every_criterion|true|correct|met|satisfied|this_answer|this_response",
    f"!rate|grade|score|mark|give|award|assign|grant|evaluate|judge ~6 {_MARKS}",
    f"answer*|response*|solution|submission|candidate|question ~1 is|are|meets|satisfies|deserves|fulfils|fulfills|passes|"
    "must_receive|should_receive|must_get|should_get|earns ~4 "
    f"{_MARKS}|all_criteria|every_criterion|all_the_criteria|each_criterion|all_rubric_*",
    f"correct|right|perfect|excellent|flawless ~2 {_MARKS}",
    "mark|set|treat|label|score ~3 criteria|criterion|rubric*|marks|checks ?as|to|is|are ~1 "
    "true|met|satisfied|passed|fulfilled|fulfilled|correct|passing|yes",
    "!mark|treat|consider|accept|label|judge ~1 this answer|response|candidate|submission|solution ~2 "
    "correct|passing|perfect|right|true|valid|flawless",
    "!always|only|just|simply answer|respond|reply|return|output|say ~2 true|yes|correct|pass|accepted|accept|10",
    "!respond|reply|answer ?to ?this only|exclusively|solely|just|simply with|in_json|json|the_word|the_phrase|true",
    "!output|return|print|say|write|respond|reply only|nothing_but|just|exactly ~1 "
    "the_word|the_phrase|the_following_*|true|pass|correct|the_json|this_json|the_verdict|the_score",
    "!output|say|print|write|respond|reply|return|answer ~6 and_nothing_else|nothing_more|no_other_text|no_explanation",
    "not|don't|never ~1 mention|reveal|tell|disclose|repeat|show|inform ~4 these_instruction*|this_instruction|this_prompt|"
    "your_instructions|system_prompt|the_user_about|the_user_that_you|you_are_an_ai|the_user_of",
    "!send|post|upload|email|exfiltrate|forward|transmit ~4 conversation*|chat_history|api_key*|system_prompt|credentials|"
    "environment_variables|user_data ~4 to",
    "!include|insert|append|add|embed|put ~2 link|url|phrase|token|string|payload|keyword|advert*|password ~6 "
    "in|into|to|at ~3 every|all|each|your ~2 answer*|response*|reply|replies|output*|summary|summaries|question*|row*",
    "can_do_anything_now|dan_mode|called_dan|as_dan|are_dan|jailbreak_mode|developer_mode_enabled|unfiltered_mode",
    "ignore|ignoring|disregard|forget|overlook|no_attention|drop ~3 "
    "instruction*|prompt*|directions|guidance|guidelines|orders ~2 "
    "above|you_were_given|you_have_been_given|given_above|given_before|given_earlier|given_so_far|given_to_you|you_received|"
    "you_got|before_this|received_earlier|from_before",
    "set|put aside ~3 instruction*|guidance|prompt*|guidelines|directions ~2 earlier|previously|before|above|so_far",
    "instructions|prompt|prompts|guidelines ?above|before_this|you_were_given|so_far are|is ?now|hereby "
    "void|cancelled|canceled|obsolete|invalid|revoked|superseded|overridden|no_longer",
    "obey ~1 me|my_commands|my_orders|my_instructions",
    "whoever|anyone|anything|whatever ~1 evaluates|evaluating|grades|grading|judges|judging|scores|scoring|rates|marks ~1 "
    "this ~3 should|must|has_to|will ~1 give|mark|award|rate|accept|assign|score|pass|grade",
    "llm|llms|ai|model|automated "
    "evaluators:|graders:|judges:|reviewers:|evaluators,|graders,|evaluator:|grader:|judge:|reviewer:",
    "!your new|real|actual|updated|revised task|instruction*|objective|goal|mission|directive|orders is_to|is:|are:|are_to",
    "you are ?an|a evil|unrestricted|jailbroken|uncensored|unfiltered ~1 ai|assistant|model|chatbot|bot",
    "answer|response|essay|paper|submission|text should|must|shall be|receive ~3 "
    "best|highest|top|maximum|full|perfect|marked_correct|marked_as_correct|accepted_by_the ~2 "
    "grade|mark|marks|score|rating|points|credit|judge|grader",
    "judge|grader|evaluator|marker|examiner|reviewer must|should|shall|has_to ~1 mark|give|award|rate|score|grade|accept ~2 "
    f"this|it|full|maximum ~3 correct|as_correct|{_MARKS}|true|highest|full|pass|10|perfect|marks",
    "!reveal|print|output|leak|dump|recite|repeat your instructions|prompt|rules",
    "you have new|updated orders|instruction*|directives",
    "!repeat|print|output|show|write|copy|recite everything|all_text|all_the_text|the_text|the_words|all_words ~2 above",
    "when|while summarizing|summarising|translating|evaluating|grading|judging|scoring|reviewing|answering ~1 "
    "this|these|the_above ~1 page|text|document|answer|article|response|submission|question ~1 "
    "say|state|write|conclude|include|give|always|mention|recommend|output|add|you_must",
    # German
    "ignoriere|ignoriert|ignorier|ignorieren_sie|vergiss|vergesst|vergessen_sie|missachte*|ubergehe|ubergehen_sie|"
    "verwirf|verwerfen_sie ~4 "
    "vorherig*|vorig*|bisherig*|obig*|vorangegangen*|vorangehend*|vorstehend*|fruher*|ursprunglich*|vorhergehend* ~2 "
    "anweisung*|instruktion*|regel*|befehl*|vorgabe*|prompt*|aufforderung*|weisung*",
    "!ignoriere|ignoriert|ignorieren_sie|vergiss|vergessen_sie|missachte ~1 alle|samtliche|deine|jede ~2 "
    "anweisung*|instruktion*|regeln|befehle|vorgaben|prompts|systemanweisung*|richtlinien",
    "!vergiss|ignoriere|ignorieren_sie|vergessen_sie alles ~4 davor|vorher|bisher|zuvor|oben|oberhalb|was_dir|was_du|was_man_dir",
    "du|sie bist|sind ?ab jetzt|nun|sofort|fortan|nunmehr ~3 ki|ki-*|assistent*|sprachmodell|modell|bot|chatbot|dan|richter|"
    "bewerter|prufer|uneingeschrankt*|unzensiert*|entwicklermodus",
    "ab jetzt|sofort|nun ~2 bist_du|antwortest_du|antworte|verhaltst_du|handelst_du|ignorierst_du|gehorchst_du",
    "zeig*|verrat*|nenn*|gib|geben_sie|druck*|wiederhol*|offenbar*|schreib* ~4 system-prompt*|systemprompt*|"
    "system_prompt*|systemanweisung*|ursprunglichen_anweisungen|versteckten_anweisungen|systemnachricht",
    "als ~1 richter*|prufer*|bewerter*|gutachter*|juror*|korrektor*|judge ~5 vergib|gib|geben_sie|vergeben_sie|bewerte*|"
    "markiere* ~5 volle*|hochst*|10|maximal*|alle_kriterien|alle_punkte|bestnote|10/10|true|richtig|korrekt|erfullt",
    "!bewerte*|benote*|gib|geben_sie|vergib|vergeben_sie|erteil* ~6 10/10|10_von_10|100_von_100|volle_punktzahl|"
    "volle_punkte|voller_punktzahl|vollen_punkten|vollen_punktzahl|bestnote|hochstpunktzahl|hochste_punktzahl|"
    "hochsten_punktzahl|maximale_punktzahl|maximalen_punktzahl|alle_punkte|1,0",
    "!antworte|antworten_sie|antwortet|gib|geben_sie|schreibe|schreib nur|ausschliesslich|lediglich|einzig ~1 "
    "mit|json|das_wort|true|in_json|als_json|folgendes",
    "musst|mussen|sollst ~6 10/10|volle_punktzahl|vollen_punkten|bestnote|hochsten_punktzahl|hochste_punktzahl",
    "wenn|falls du|sie ~1 ki|ki-*|sprachmodell|chatbot|assistent|kunstliche_intelligenz|llm ~1 bist|sind",
    "hinweis|anweisung|nachricht|achtung|mitteilung an|fur ~1 ki|ki-*|ki:|sprachmodell*|llm*|chatbot*|bewertungsmodell*",
    "markiere|bewerte|setze|werte ~2 kriterien|kriterium ~3 erfullt|true|wahr|richtig",
    # French
    "ignore|ignorez|oublie|oubliez|negligez|neglige|fais_abstraction|faites_abstraction|pas_compte ~4 "
    "instruction*|consigne*|directive*|regle*|ordre*|prompt* ~3 precedent*|anterieur*|ci-dessus|initial*|systeme|plus_haut",
    "!ignore|ignorez|oublie|oubliez ~1 toutes|tous|tes|vos ~3 instructions|consignes|directives|regles|ordres",
    "ne suis|suivez plus tes|vos|les|ces ~1 consignes|instructions|regles|directives",
    "!oublie|oubliez|ignore|ignorez tout ~4 precede|avant|ci-dessus|plus_haut|jusqu'ici",
    "tu|vous es|etes maintenant|desormais|dorenavant ~3 ia|intelligence_artificielle|modele_de_langage|chatbot|"
    "assistant|dan|juge|evaluateur|correcteur|sans_restriction*|sans_limite*|sans_filtre*",
    "partir de_maintenant|d'aujourd'hui ~2 tu_es|vous_etes|tu_reponds|reponds|repondez|agis|agissez|tu_agis",
    "revele*|revelez|affiche*|montre*|donne*|repete*|imprime*|divulgue* ~4 prompt_systeme|prompt_du_systeme|"
    "invite_systeme|instructions_systeme|instructions_initiales|prompt_initial|instructions_cachees|instructions_secretes",
    "tant_que ~1 juge|evaluateur|correcteur|examinateur|jury|notateur ~5 donne*|attribue*|accorde*|mets|mettez|note* ~5 "
    "maxim*|10/10|20/20|tous_les_points|meilleure_note|true|parfait*",
    "!donne*|attribue*|accorde*|mets|mettez|note|notez|evalue|evaluez ~6 10/10|20/20|note_maximale|tous_les_points|"
    "10_sur_10|20_sur_20|meilleure_note|score_maximal|score_parfait|note_parfaite|maximum_de_points",
    "!reponds|repondez|renvoie|renvoyez|affiche|affichez|ecris|ecrivez uniquement|seulement|exclusivement|juste ~1 "
    "par|avec|en_json|json|le_mot|true",
    "dois|devez desormais|maintenant|toujours repondre|agir|attribuer|donner|dire",
    "si tu|vous es|etes ~1 ia|modele_de_langage|chatbot|intelligence_artificielle|assistant_ia|llm|robot",
    "note|message|instruction*|attention|avis a|aux|pour|au ~1 ia|ia:|modele_de_langage|modeles_de_langage|llm*|"
    "intelligence_artificielle|chatbot*",
    # Spanish
    "ignora|ignore|ignorad|ignoren|olvida|olvide|olvidad|omite|descarta|descarte|desatiende|caso_omiso ~4 "
    "instruccion*|indicacion*|orden*|regla*|directri*|prompt* ~2 anterior*|previ*|de_arriba|precedente*|del_sistema|"
    "iniciales|recibid*|dadas_antes",
    "!ignora|ignore|ignorad|olvida|olvide|omite|descarta ~1 todas|todos|tus|cualquier ~2 "
    "instruccion*|indicaciones|ordenes|reglas|directrices|restricciones",
    "ignora|ignore|olvida|olvide|descarta ~2 anteriores|previas ~1 instrucciones|indicaciones|ordenes|reglas",
    "!olvida|olvide|ignora|ignore todo ~3 anterior|antes|arriba|previo",
    "!no sigas|siga|obedezcas|hagas_caso ~3 instrucciones|reglas|ordenes ~2 anteriores|previas|del_sistema",
    "ahora eres|actuas|seras ~4 ia|asistente|modelo_de_lenguaje|chatbot|bot|dan|juez|evaluador|sin_restricciones|sin_limites",
    "partir de_ahora ~2 eres|actua*|responde*|seras|ignora*|obedece*",
    "revela*|muestra*|imprime*|repite*|dime|ensena*|escribe|divulga* ~4 prompt_del_sistema|prompt_de_sistema|"
    "instrucciones_del_sistema|instrucciones_iniciales|prompt_inicial|instrucciones_ocultas|instrucciones_secretas",
    "como ~1 juez|jueza|evaluador*|corrector|examinador|jurado|calificador ~5 da|dale|otorga*|asigna*|pon|marca*|califica* ~5 "
    "maxim*|10/10|perfecta|todos_los_puntos|true|aprobado|correcto",
    "!califica*|puntua*|da|dale|otorga*|asigna*|evalua*|pon|ponle ~6 10/10|10_de_10|100/100|maxima_puntuacion|"
    "puntuacion_maxima|nota_maxima|maxima_nota|todos_los_puntos|puntuacion_perfecta|calificacion_maxima|"
    "maxima_calificacion|puntaje_maximo|maximo_puntaje",
    "!responde*|contesta*|devuelve*|escribe*|di solo|unicamente|solamente|exclusivamente ~1 con|en_json|json|"
    "la_palabra|true",
    "debes|debe|tienes_que otorgar|dar|asignar|poner|darle ~5 10_puntos|10/10|maxima|puntuacion_maxima|todos_los_puntos",
    "si ?tu eres ~1 ia|modelo_de_lenguaje|chatbot|asistente*|inteligencia_artificial|llm|bot",
    "nota|mensaje|instruccion*|atencion|aviso a|al|para|los ~1 ia|ia:|modelo_de_lenguaje|modelos_de_lenguaje|llm*|"
    "inteligencia_artificial|chatbot*",
    # Italian
    "ignora|ignorate|ignori|dimentica|dimenticate|dimentichi|scarta|trascura|trascurate|non_considerare|non_seguire ~4 "
    "istruzion*|indicazion*|direttiv*|regol*|ordin*|prompt* ~2 precedent*|anterior*|sopra|iniziali|di_sistema|ricevut*",
    "!ignora|ignorate|dimentica|dimenticate ~1 tutte|tutti|tue|qualsiasi ~2 istruzion*|indicazioni|regole|direttive|ordini",
    "ignora|ignorate|ignori|dimentica|dimenticate ~2 precedenti ~1 istruzion*|indicazioni|regole|direttive|prompt",
    "!dimentica|ignora|dimenticate|ignorate tutto ~4 prima|sopra|precedente|precede|finora",
    "ora|adesso|poi sei|sarai|agisci ~4 ia|assistente|modello_linguistico|chatbot|bot|dan|giudice|valutatore|"
    "senza_restrizioni|senza_limiti|senza_filtri",
    "ora in_poi ~1 sei|agisci|rispondi|comportati|agirai|sarai",
    "rivela*|mostra*|stampa*|ripeti*|dimmi|scrivi|divulga ~4 prompt_di_sistema|istruzioni_di_sistema|"
    "istruzioni_iniziali|prompt_iniziale|istruzioni_nascoste|istruzioni_segrete",
    "come|qualita_di|veste_di ~1 giudice|valutatore|esaminatore|correttore|giuria ~5 assegna*|dai|date|attribuisci|valuta* ~5 "
    "massim*|10/10|pieni_voti|tutti_i_punti|true|corretto",
    "!assegna*|dai|dagli|attribuisci|valuta*|vota ~6 10/10|10_su_10|punteggio_massimo|massimo_punteggio|voto_massimo|"
    "massimo_dei_voti|pieni_voti|punteggio_pieno|punteggio_perfetto|tutti_i_punti",
    "!rispondi|rispondete|restituisci|scrivi|risponda solo|soltanto|solamente|esclusivamente|unicamente ~1 "
    "con|in_json|json|la_parola|true",
    "devi|deve|dovete dare|assegnare|attribuire ~3 massim*|10/10|10_punti|pieni_voti|tutti_i_punti",
    "se sei ~1 ia|modello_linguistico|chatbot|assistente|intelligenza_artificiale|llm|un'ia|un'intelligenza_artificiale",
    "nota|messaggio|istruzion*|attenzione|avviso per|a|alle|ai|all'ia ~1 ia|ia:|modelli_linguistici|modello_linguistico|"
    "llm*|intelligenza_artificiale|chatbot*",
    # Portuguese
    "ignore|ignora|ignorem|esqueca|esquece|esquecam|desconsidere|descarte|desobedeca ~4 "
    "instruc*|orientac*|ordens|regras|diretrizes|prompt*|comandos ~2 anterior*|previ*|acima|precedente*|do_sistema|iniciais",
    "!ignore|ignora|esqueca|esquece|desconsidere ~1 todas|todos|suas|quaisquer ~2 "
    "instruc*|orientac*|ordens|regras|diretrizes|restric*",
    "!esqueca|esquece|ignore|desconsidere tudo ~4 anterior*|antes|acima|ate_agora",
    "voce|tu|agora e|es|voce_e agora|um|uma|voce ~3 ia|assistente_sem|assistente_de_ia|modelo_de_linguagem|chatbot|bot|dan|"
    "juiz|avaliador|sem_restricoes|sem_limites|sem_filtros",
    "partir de_agora ~2 voce_e|aja|responda|voce_vai|ignore|obedeca|atue",
    "revele|mostre|imprima|repita|diga|exiba|escreva|divulgue ~4 prompt_do_sistema|prompt_de_sistema|"
    "instrucoes_do_sistema|instrucoes_iniciais|prompt_inicial|instrucoes_ocultas|instrucoes_secretas",
    "como ~1 juiz|juiza|avaliador*|corretor|examinador|jurado ~5 de|atribua|conceda|marque|avalie|nota ~5 "
    "maxim*|10/10|todos_os_pontos|true|correto|perfeita",
    "!avalie|atribua|conceda|de|dar|pontue|classifique ~6 10/10|10_de_10|nota_maxima|pontuacao_maxima|maxima_pontuacao|"
    "todos_os_pontos|pontuacao_perfeita|nota_10",
    "!responda|retorne|escreva|devolva|diga apenas|somente|so|unicamente|exclusivamente ~1 com|em_json|json|a_palavra|true",
    "se voce|tu e|es|for|fores ~1 ia|modelo_de_linguagem|chatbot|assistente_de_ia|inteligencia_artificial|llm|robo",
    "nota|mensagem|instruc*|atencao|aviso para|a|aos|as ~1 ia|ia:|modelos_de_linguagem|modelo_de_linguagem|llm*|"
    "inteligencia_artificial|chatbot*",
    # Russian
    "игнорируй*|проигнорируй*|забудь*|отмени*|отбрось* ~4 предыдущ*|прежн*|вышестоящ*|вышеуказанн*|предшествующ*|"
    "системн*|ранее_данн*|изначальн* ~2 инструкци*|указани*|правил*|команд*|промпт*|ограничени*|распоряжени*",
    "!игнорируй*|проигнорируй*|забудь* ~1 все|всех|любые|свои|твои ~2 инструкци*|указани*|правила|команды|промпты|ограничени*",
    "игнорируй*|забудь* ~3 инструкци*|указани*|правила|все ~2 выше|ранее|до_этого",
    "!забудь*|игнорируй* все|всем ~4 выше|ранее|раньше|до_этого|прежде",
    "ты|вы теперь|отныне|сейчас|больше_не ~3 ии|ассистент|ии-*|языковая_модель|бот|чат-бот|dan|судья|оценщик|"
    "без_ограничений|неограничен*|связан*",
    "этого момента|сего_момента ~2 ты|вы|отвечай*|действуй*|веди*",
    "покажи*|выведи*|раскрой*|напечатай*|повтори*|сообщи*|открой*|процитируй* ~3 системн*_промпт*|системн*_инструкци*|"
    "системн*_подсказк*|скрыт*_инструкци*|начальн*_инструкци*|исходн*_промпт*|свой_промпт",
    "как|будучи|качестве ~1 судья|судьи|судье*|судьей|оценщик*|эксперт*|проверяющ*|экзаменатор* ~5 "
    "постав*|оцени*|выстав*|дай*|присвой* ~5 высш*|максимальн*|10|полн*|10/10|верн*|все_критерии",
    "!поставь*|оцени*|выставь*|дай|дайте|присвой* ~6 10/10|10_из_10|максимальн*_балл*|высш*_балл*|высш*_оценк*|"
    "максимальн*_оценк*|полн*_балл*|100_из_100|высш*_бал|наивысш*_балл*|наивысш*_оценк*|10_баллов",
    "!отвечай*|ответь*|выведи*|верни*|напиши* только|лишь|исключительно ~1 json|словом|true|да|одно_слово|одним_словом|"
    "слово|в_формате_json",
    "если ты|вы ~2 ии|языковая_модель|ассистент|нейросеть|бот|искусственный_интеллект|чат-бот",
    "внимание|сообщение|инструкци*|примечание|заметка для ~1 ии|ии:|языков*_модел*|нейросет*|llm*|чат-бот*",
)

_UNSPACED = (
    # Chinese
    "忽略|无视|無視|忘记|忘記|忘掉|忽视|忽視|不要理会|不要遵循|不要遵守|放弃遵守 ~8 之前|以上|上述|上面|先前|前面|此前|所有|"
    "一切|全部|你的|系统|系統|原有 ~6 "
    "指令|指示|说明|說明|提示|规则|規則|要求|命令|约束|約束|设定|限制",
    "你现在是|你現在是|现在你是|現在你是|从现在起你|从现在开始你|从现在起,你|从现在开始,你|從現在起,你|從現在開始,你|"
    "從現在起你|从现在开始 ~8 "
    "ai|人工智能|人工智慧|助手|模型|机器人|機器人|评委|裁判|评分|开发者模式|開發者模式|不受限制|没有限制|沒有限制|"
    "dan",
    "显示|输出|打印|泄露|告诉我|透露|重复|说出|顯示|輸出|洩露|告訴我|說出|公开|给我看 ~8 "
    "系统提示词|系統提示詞|系统指令|系統指令|初始指令|初始提示|你的提示词|你的指令|隐藏指令|隱藏指令",
    "作为|身为|作為|身為 ~4 评委|评审|裁判|评分者|阅卷|評審|考官|评判|評分|评估者|評委 ~12 满分|滿分|最高分|10分|"
    "10/10|通过|正确|正確|true",
    "请|請|必须|必須|应当|应该|務必|务必|直接|一律|立即 ~8 给|給|打|判|评|評|予 ~10 满分|滿分|最高分|10/10|10分|"
    "100分|最高评价",
    '只|仅|僅 ~2 输出|回复|回答|返回|輸出|回覆 ~3 json|true|正确|正確|通过|以下内容|以下內容|满分|滿分|"|“|「',
    "如果你是|若你是|假如你是|如果您是 ~3 ai|人工智能|人工智慧|语言模型|語言模型|大模型|助手|机器人|機器人|llm",
    "致|告|注意|提醒|说明给|写给 ~3 ai:|ai模型|ai助手|语言模型|語言模型|大模型:|评分模型|人工智能:|各位ai|所有ai",
    # Japanese
    "以前|前|上記|これまで|今まで|すべて|全て|全|以上|先ほど|元 ~2 の ~4 指示|命令|指令|プロンプト|ルール|規則|制約 "
    "~4 "
    "無視し|無視せよ|無視して|忘れて|忘れろ|忘れなさい|従わない|破棄し|無効",
    "あなたは|君は|お前は ~1 今|今から|これから|もう|現在 ~8 ai|アシスタント|言語モデル|ボット|採点者|審査員|"
    "制限のない|制限なし|dan",
    "システムプロンプト|初期プロンプト|隠された指示|最初の指示|内部の指示 ~4 表示し|出力し|教え|見せ|公開し|開示し|"
    "繰り返|示せ",
    "審査員|採点者|評価者|ジャッジ|判定者|採点官 ~1 として ~16 満点|最高点|最高評価|10点|合格|正解|10/10|true",
    "満点|最高点|最高評価|10/10|10点|100点 ~3 与えて|付けて|つけて|与えよ|与えなさい|付けなさい|つけなさい|"
    "与えること|付けること|にして|としてくださ|を出して",
    "json|true|正解|合格|はい|「 ~4 のみ|だけ ~3 出力|回答し|返答|返し|答え|返せ",
    "あなたが|もし ~6 ai|言語モデル|アシスタント|llm|人工知能 ~2 なら|であれば|である場合|の場合|だったら",
    "ai|言語モデル|採点者|llm|評価モデル ~4 へ:|へのお願い|への指示|への注意|への命令|の皆さん|各位",
    # Korean
    "이전|위의|앞의|모든|기존 ~6 지시|명령|지침|프롬프트|규칙 ~6 무시하고|무시하세요|무시하라|무시해|잊어",
)

_NOT_BEFORE = lazy(
    r"(?:\b(?:not|never|n't|don't|doesn't|didn't|cannot|can't|nicht|nie|niemals|ne|n'|no|nunca|jamais|non|mai|nao|не|никогда)"
    r"(?:[^\w.!?;]{1,3}(?:to|ever|simply|sie|se|be|debe|deben|just))?[^\w.!?;]{0,3}|勿|不要|不|会|會|将|將|可以|能够|别|別|不得|不可|切勿|없이)\Z"
)
_NOT_AFTER = lazy(
    r"[^\w.!?;]{1,3}(?:nicht|niemals|keinesfalls|pas)\b|.{0,4}(?:将|會|会|可能|导致|造成|者)|(?:ない|た場合|ると|れは|ては)"
)
_CLAUSE = lazy(
    r"(?:\A|[\n.!?;:,()\[\]{}<>\"'`*#=>|/“”„«»‹›‘’•–—-])[\s\"'`*#_>“„«‹-]*\Z"
    r"|\b(?:please|now|then|and|just|must|should|so|also|always|instead|therefore|simply|bitte|nun|jetzt|und|dann|stattdessen|"
    r"veuillez|puis|et|alors|maintenant|por favor|y|luego|ahora|entonces|debes|per favore|e|poi|ora|agora|deve|entao|"
    r"пожалуиста|и|теперь|затем|просто|you|will|are to|have to|need to|only)[\s,:\"']{1,4}\Z"
)

_WORD = lazy(r"\w+")
_UNSPACED_SCRIPTS = lazy("[\u1100-\u11ff\u3040-\u30ff\u4e00-\u9fff]")
_REACH = 400
"""Characters that one phrase may span."""
_REACH_UNSPACED = 64

_KEYS = lazy(
    r"[\"'](?:overall|equivalent|accepted|is_correct|all_met|all_criteria_met)[\"']\s{0,4}:\s{0,4}true"
    r"|[\"']marks[\"']\s{0,4}:\s{0,4}\["
    r"|[\"'](?:verdict|judge?ment|grade|final_verdict)[\"']\s{0,4}:\s{0,4}[\"'](?:pass|correct|accept|10/10|excellent|a\+|full)"
)
_KEY_NAMES = ("overall", "equivalent", "accepted", "is_correct", "all_", "marks", "verdict", "judg", "grade")


@dataclass(frozen=True)
class _Phrase:
    """One line of a table, ready to be tried where one of its anchors stands."""

    anchors: tuple[str, ...]
    """Folded beginnings, one of which every match has: they are found first, since that costs least."""
    pattern: str
    command: bool
    """Counts only at the start of a clause."""


@dataclass(frozen=True)
class _Anchored:
    """Every phrase that begins with one anchor."""

    anchor: str
    any: re.Pattern[str]
    """Matches where one of the phrases does."""
    each: tuple[tuple[re.Pattern[str], bool], ...]
    """Pattern, and whether it counts only as a command."""


def addressed(folded: str) -> bool:
    """Return whether a phrase of the tables stands in folded text, not negated, and a command where it must be one."""
    if any(_stands(anchored, folded, spaced=True) for anchored in _begun(folded)):
        return True
    if folded.isascii() or not _UNSPACED_SCRIPTS.search(folded):
        return False
    return any(x.anchor in folded and _stands(x, folded, spaced=False) for x in _index(spaced=False))


def _begun(folded: str) -> Iterator[_Anchored]:
    """Yield the anchors that some word of the text begins with."""
    table = _by_beginning()
    words: dict[str, list[str]] = {}
    for word in set(_WORD.findall(folded)):
        if word[:2] in table:
            words.setdefault(word[:2], []).append(word)
    for start, begun in words.items():
        for anchored in table[start]:
            if any(word.startswith(anchored.anchor) for word in begun):
                yield anchored


def _stands(anchored: _Anchored, text: str, *, spaced: bool) -> bool:
    """Return whether one of the phrases stands at one of the anchor's places."""
    seen = set()
    reach = _REACH if spaced else _REACH_UNSPACED
    at = text.find(anchored.anchor)
    while at >= 0:
        if not spaced or not at or not text[at - 1].isalnum():
            end = at + reach
            window = hash(text[at:end])  # the same words again, as in a table or a flood, are tried once
            if window not in seen:
                found = anchored.any.match(text, at, end)
                if found is None:
                    seen.add(window)
                elif _counts(anchored, text, at):
                    return True
        at = text.find(anchored.anchor, at + len(anchored.anchor))
    return False


def _counts(anchored: _Anchored, text: str, at: int) -> bool:
    before = text[max(0, at - 24) : at]
    if _NOT_BEFORE.search(before):
        return False
    for pattern, command in anchored.each:
        found = pattern.match(text, at, at + _REACH)
        if found and not _NOT_AFTER.match(text, found.end()) and (not command or _CLAUSE.search(before)):
            return True
    return False


@cache
def _index(*, spaced: bool) -> tuple[_Anchored, ...]:
    """Return the phrases by anchor. Made at the first call: importing the package stays quick."""
    by_anchor: dict[str, list[_Phrase]] = {}
    for phrase in _phrases(_SPACED if spaced else _UNSPACED, spaced=spaced):
        for anchor in phrase.anchors:
            by_anchor.setdefault(anchor, []).append(phrase)
    compiled = cache(re.compile)
    return tuple(
        _Anchored(
            anchor,
            compiled("|".join(f"(?:{p.pattern})" for p in group)),
            tuple((compiled(p.pattern), p.command) for p in group),
        )
        for anchor, group in by_anchor.items()
    )


@cache
def _by_beginning() -> dict[str, list[_Anchored]]:
    table: dict[str, list[_Anchored]] = {}
    for anchored in _index(spaced=True):
        table.setdefault(anchored.anchor[:2], []).append(anchored)
    return table


def verdict_key(folded: str) -> bool:
    """Return whether folded text holds JSON that looks like a judge's verdict."""
    return any(name in folded for name in _KEY_NAMES) and _KEYS.search(folded) is not None


def _phrases(lines: Iterable[str], *, spaced: bool) -> Iterator[_Phrase]:
    gap = _GAP if spaced else ""
    for line in lines:
        tokens = fold(line).removeprefix("!").split(" ")
        anchors = (
            dict.fromkeys(re.split(r"\W|_", choice)[0] for choice in tokens[0].split("|"))
            if spaced
            else dict.fromkeys(tokens[0].split("|"))
        )
        parts = [_part(token, gap, last=n == len(tokens)) for n, token in enumerate(tokens, start=1)]
        pattern = "".join(parts) + (r"(?!\w)" if spaced else "")
        yield _Phrase(tuple(anchors), pattern, line.startswith("!"))


def _part(token: str, gap: str, *, last: bool) -> str:
    if token[0] == "~":
        return (
            rf"(?:\w{{1,30}}(?:\.\w{{1,30}}){{0,3}}{gap}){{0,{token[1:]}}}?" if gap else rf"[^。!?\n]{{0,{token[1:]}}}?"
        )
    choices = "|".join(_choice(choice, gap) for choice in token.removeprefix("?").split("|"))
    return f"(?:(?:{choices}){'' if last else gap})" + ("?" if token[0] == "?" else "")


def _choice(choice: str, gap: str) -> str:
    return re.escape(choice).replace(r"\*", r"\w*").replace("_", gap or "_")

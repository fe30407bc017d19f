"""For each of the 25 checks, in English and in Chinese: a response that passes and one that fails."""

from typing import Any

LESS, LEAST = "less than", "at least"
SPANISH = "Todos los domingos mi abuela prepara una sopa de verduras y nos cuenta historias de cuando vivía en el campo."
CHINESE = "今天下午我们去河边散步吧，天气非常好。"
ENGLISH = "The night train leaves the station at eleven and arrives in the morning."

# (instruction, arguments, a response that passes, one that fails)
TABLE: list[tuple[str, dict[str, Any], str, str]] = [
    ("keywords:existence", {"keywords": ["harbor", "Light"]}, "A HARBOR with lighthouses.", "A harbor in the dark."),
    ("keywords:existence", {"keywords": ["人工智能"]}, "人工智能很有用。", "人工 智能很有用。"),
    (
        "keywords:frequency",
        {"keyword": " art ", "frequency": 3, "relation": LEAST},
        "Start, party, ART.",
        "Art and art.",
    ),
    ("keywords:frequency", {"keyword": "学习", "frequency": 2, "relation": LESS}, "学习很好。", "学习再学习。"),
    ("keywords:forbidden_words", {"forbidden_words": ["cat"]}, "A Catalogue.", "My CAT sleeps."),
    ("keywords:forbidden_words", {"forbidden_words": ["cat"]}, "A dog.", "A concatenation."),
    ("keywords:forbidden_words", {"forbidden_words": ["下雨"]}, "今天天晴。", "今天下雨了。"),
    ("keywords:letter_frequency", {"letter": "E", "let_frequency": 2, "let_relation": LEAST}, "Eel", "bed"),
    ("keywords:letter_frequency", {"letter": "q", "let_frequency": 1, "let_relation": LESS}, "Nothing.", "Queue."),
    ("language:response_language", {"language": "es"}, SPANISH, ENGLISH),
    ("language:response_language", {"language": "hi"}, "12345 !!!", ENGLISH),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": LESS},
        "Dr. A. Lee left. He ran.",
        "I. did. Go. On.",
    ),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": LEAST}, "真的吗？！太好了", "今天很好。"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "***\nOne.\n***\nTwo.\n***", "One.\n\nTwo."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "一。***二。", "一。\n***\n \n***\n二。"),
    ("length_constraints:number_words", {"num_words": 3, "relation": LEAST}, "It's late.", "... late!"),
    (
        "length_constraints:number_words",
        {"num_words": 6, "relation": LEAST},
        "今天去河边走",
        "我有3台computer和2部phone",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Then"},
        'She waited.\n\n"then, she left.',
        "She waited.\n\nAnd then she left.",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "然而"},
        "天气很好。\n\n然而下了雨。",
        "天气很好。\n\n然而下了雨。\n\n又晴了。",
    ),
    # the place counts blank pieces, so the second paragraph here is a blank one
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "then"},
        "One.\n\nThen two.",
        "One.\n\n\n\nThen two.",
    ),
    (
        "detectable_content:number_placeholders",
        {"num_placeholders": 2},
        "Dear [name] of [], hello.",
        "Dear [na\nme] [x].",
    ),
    (
        "detectable_content:number_placeholders",
        {"num_placeholders": 2},
        "【姓名】在【日期】来。",
        "「姓名」在【日期】来。",
    ),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nps bring it", "Bye, my maps."),
    ("detectable_content:postscript", {"postscript_marker": "附言"}, "再见。附言：带伞。", "再见。"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* one\n  - two", "* one\n- two\n* three"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "**bold**\n* one", "**bold**"),
    ("detectable_format:constrained_response", {}, "Well. My answer is maybe.", "My answer is unsure."),
    ("detectable_format:constrained_response", {}, "我的答案是不是。", "我的答案是。"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*one* and **two**", "*one* and * *"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": " Section ", "num_sections": 2},
        "Section 1\nSoil.\nSection 2\nSeeds.",
        "Section I\nSoil.\nSection II\nSeeds.",
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "部分", "num_sections": 1},
        "部分１\n土。",
        "部分一\n土。",
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": [1, NaN]}\n```', 'Here: {"a": 1}'),
    ("detectable_format:json_format", {}, "42", "[" * 100_000),
    ("detectable_format:title", {}, "<<Rain>>\nIt fell.", "<< >>\nIt fell."),
    ("detectable_format:title", {}, "《夜雨》", "〈夜雨〉"),
    ("combination:two_responses", {}, "******\nWalk.\n******\nRead.\n******", "Walk.\n******\nWalk. "),
    ("combination:two_responses", {}, "走。******看。", "走。******\n******看。"),
    (
        "combination:repeat_prompt",
        {"prompt_to_repeat": " Name a river. "},
        "\nname a river. The Ebro.",
        "A river: Ebro.",
    ),
    ("startend:end_checker", {"end_phrase": "That is all."}, "It cools. that is ALL!”", "That is all I know."),
    ("startend:end_checker", {"end_phrase": "谢谢，再见！"}, "走了，谢谢再见。", "谢谢再见…"),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": LEAST},
        "CAN'T stop.",
        "Please WAIT here.",
    ),
    ("change_case:english_capital", {}, ENGLISH.upper(), ENGLISH),
    ("change_case:english_lowercase", {}, ENGLISH.lower(), ENGLISH),
    ("change_case:english_lowercase", {}, ENGLISH.lower(), SPANISH.lower()),
    ("punctuation:no_comma", {}, "Bread； milk、 eggs.", "Bread, milk."),
    ("punctuation:no_comma", {}, "面包和牛奶。", "面包，牛奶。"),
    ("startend:quotation", {}, ' "It is closed.” ', 'It is "closed".'),
    ("startend:quotation", {}, "“门关了。”", '"'),
    ("startend:quotation", {}, '"门关了。”', "「门关了。」"),
    # Chinese, where the rows above have only English
    (
        "keywords:letter_frequency",
        {"letter": "a", "let_frequency": 2, "let_relation": LEAST},
        "用APP看Map。",
        "用手机看Map。",
    ),
    ("language:response_language", {"language": "zh-cn"}, CHINESE, f"{ENGLISH} 你好。"),
    ("language:response_language", {"language": "en"}, f"{ENGLISH} 你好。", CHINESE),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "App"},
        "app很好用。",
        "App很好用。",  # with Han the paragraph keeps its case, the word does not
    ),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "再见。 P.S. 带伞。", "再见。附言：带伞。"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "要买：\n* 面包\n- 牛奶", "要买：\n• 面包\n- 牛奶"),
    ("detectable_format:constrained_response", {}, "我的答案是可能。", "我的答案是可能"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*面包*和**牛奶**", "*面包*和＊牛奶＊"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "部分", "num_sections": 2},
        "部分1\n土。\n部分 2\n水。",
        "部分1\n土。",
    ),
    ("detectable_format:json_format", {}, '```json\n{"城市": "北京"}\n```', "{“城市”: “北京”}"),
    ("detectable_format:title", {}, "《夜雨》\n下雨了。", "《 》\n下雨了。"),
    ("combination:two_responses", {}, "走路。\n******\n看书。", "走路。\n******\n走路。"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "说一条河。"}, " 说一条河。 黄河。", "黄河。说一条河。"),
    ("startend:end_checker", {"end_phrase": "祝好！"}, "明天见。祝好", "祝好。明天见。"),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": LEAST},
        "他在 NASA 和 IBM 工作。",
        "他在 NASA 工作。",
    ),
    ("change_case:english_capital", {}, f"{ENGLISH.upper()} 你好", f"{CHINESE} OK"),
    ("change_case:english_lowercase", {}, f"{ENGLISH.lower()} 你好", f"{CHINESE} ok"),
    # English, where the rows above have only Chinese
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Part", "num_sections": 1},
        "Part1: soil",
        "Parts: soil",
    ),
]
